"""For all tests: an own place for store, records and engine, so that those of the person who tests are left alone."""

from __future__ import annotations

import os
import signal
import tempfile
from collections.abc import Iterator
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling

from cellyard.cli.passing_over import IRI_GRAMMARS, passing_over
from cellyard.service.client import EngineClient
from cellyard.settings import load_settings

with passing_over(IRI_GRAMMARS):
    import nbformat  # noqa: F401 - here, so that no test's process makes what this passes over

# A shell that runs the tests in its background has them ignore SIGINT; they interrupt themselves.
signal.signal(signal.SIGINT, signal.default_int_handler)


ON_CLUSTER = "tests/cluster/"
"""Tests with a cluster, which they start where there is none."""

IN_BUCKETS = (
    "tests/artifacts/test_s3_faults.py",
    "tests/contracts/test_store_contract.py",
    "tests/faults/test_other_machine.py",
    "tests/faults/test_store_away.py",
    "tests/kernel_magics/test_store_in_bucket.py",
)
"""Tests with an S3 server, which they start where there is none."""

OF_THE_HOUSE = "tests/house/"
"""Tests that read all modules."""

IN_BROWSERS = "tests/jupyter_ext/"
"""Tests with a browser, all before one JupyterLab."""


class _Shares(LoadScopeScheduling):  # type: ignore[misc]
    """Where several processes share the tests, those of a file stay together. One process has all that need a cluster,
    which has no room for more, one all that need an S3 server, and one all that read the modules.

    Before the cluster the same process has those with a browser, meanwhile cluster and image are made: a pod that comes
    or goes changes the machine's addresses, and a browser then ends every request of it that waits for a connection
    (ERR_NETWORK_CHANGED).
    """

    def _split_scope(self, nodeid: str) -> str:
        if nodeid.startswith((ON_CLUSTER, IN_BROWSERS)):
            return "cluster"
        if nodeid.startswith(OF_THE_HOUSE):
            return "house"
        return "buckets" if nodeid.startswith(IN_BUCKETS) else nodeid.partition("::")[0]


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """For ``pytest -n``."""
    return _Shares(config, log)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits most comes first, then whole runs, which take seconds each: short ones at the end keep all processes
    busy."""
    first = (IN_BROWSERS, ON_CLUSTER, IN_BUCKETS, "tests/test_")
    items.sort(key=lambda item: [not item.nodeid.startswith(each) for each in first])


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
        env.setenv("CELLYARD_LIVE_VIEW", "off")  # on a busy machine any step may run long enough to be shown
        yield
        client = EngineClient(load_settings())
        client.stop(drain=False, timeout=20)
        client.close()
