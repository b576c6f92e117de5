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


AT_SERVERS = {"kubeconfig", "s3_server", "s3", "own_server"}
"""Fixtures that start a cluster or an S3 server where there is none."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Where several processes share the tests, one has all those with a cluster or an S3 server: only one may start
    them, and the cluster has no room for more. They wait most, and come first. Else those of a file stay together."""
    items.sort(key=_rank)
    for item in items:
        item.add_marker(pytest.mark.xdist_group("servers" if _rank(item) < 2 else str(item.path)))


def _rank(item: pytest.Item) -> int:
    if item.path.parent.name == "cluster":
        return 0
    return 1 if AT_SERVERS.intersection(getattr(item, "fixturenames", ())) else 2


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
