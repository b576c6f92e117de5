"""One JupyterLab for all tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.jupyter_ext.servers import LabServer, lab_server


@pytest.fixture(scope="session")
def lab() -> Iterator[LabServer]:
    """A JupyterLab behind a base URL."""
    with lab_server() as found:
        yield found


@pytest.fixture
def http(lab: LabServer) -> Iterator[httpx.Client]:
    """A client that may do what the user may."""
    with lab.http() as found:
        yield found
