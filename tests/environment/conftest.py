"""Stores of both kinds for tests of what goes through a store."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cellyard.artifacts.store import Store, open_store
from tests.buckets import bucket, s3

__all__ = ["bucket", "s3"]


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest, tmp_path) -> Iterator[Store]:
    """An empty store; the test runs with either kind."""
    if request.param == "folder":
        yield open_store(str(tmp_path / "store"))
    else:
        yield open_store(request.getfixturevalue("bucket").url)
