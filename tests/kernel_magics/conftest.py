"""One engine for all tests here, one kernel for those of a module."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home


@pytest.fixture(scope="session")
def home() -> Iterator[Home]:
    """A home whose engine serves all modules that have no wishes of their own: to start one for each takes seconds."""
    with engine_home() as found:
        yield found


@pytest.fixture(scope="module")
def notebook(request: pytest.FixtureRequest) -> str:
    """The path of the module's notebook, which is nowhere."""
    return f"/tmp/{Path(request.path).stem}.ipynb"


@pytest.fixture(scope="module")
def kernel(home: Home, notebook: str) -> Iterator[Kernel]:
    """A kernel with the extension loaded. Tests of a module share it, and use names of their own."""
    with kernel_at({**home.env, "JPY_SESSION_NAME": notebook}) as found:
        yield found
