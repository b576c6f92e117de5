"""One engine for the tests that leave it alive, and homes for those that do not."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from cellyard.service.client import EngineClient
from tests.service.engines import Home, engine_home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home without an engine yet."""
    with engine_home() as found:
        yield found


@pytest.fixture(scope="module")
def shared() -> Iterator[Home]:
    """A home whose engine serves all tests of a module."""
    with engine_home() as found:
        found.client().ensure()
        yield found


@pytest.fixture
def client(shared: Home) -> EngineClient:
    """A client of the shared engine."""
    return shared.client()
