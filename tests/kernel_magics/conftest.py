"""One engine and one kernel for the tests of a module."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    """A home whose engine serves all tests of a module."""
    with engine_home() as found:
        yield found


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    """A kernel with the extension loaded. Tests of a module share it, and use names of their own."""
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/notebook.ipynb"}) as found:
        yield found
