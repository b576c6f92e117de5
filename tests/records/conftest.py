"""A database file of its own for every test."""

from __future__ import annotations

import pytest

from cellyard.records import open_records


@pytest.fixture
def url(tmp_path):
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


@pytest.fixture
def records(url):
    with open_records(url) as opened:
        yield opened
