"""For all tests: an own place for store, records and engine, so that those of the person who tests are left alone."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator

import pytest

from cellyard.service.client import EngineClient
from cellyard.settings import load_settings

# A shell that runs the tests in its background has them ignore SIGINT; they interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def place_of_its_own() -> Iterator[None]:
    """Settings read from the environment lead to a new, empty folder; an engine started there ends with the tests."""
    with (
        tempfile.TemporaryDirectory(prefix="cy-", ignore_cleanup_errors=True) as home,
        pytest.MonkeyPatch.context() as env,
    ):
        for name in [name for name in os.environ if name.startswith("CELLYARD_")]:
            env.delenv(name)
        env.setenv("CELLYARD_HOME", home)
        yield
        client = EngineClient(load_settings())
        client.stop(drain=False, timeout=20)
        client.close()
