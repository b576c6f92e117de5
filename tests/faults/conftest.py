"""An engine of its own for each test that breaks something."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home


@pytest.fixture
def home() -> Iterator[Home]:
    """A home for one test."""
    with engine_home() as found:
        yield found


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    """A kernel for one test."""
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/notebook.ipynb"}) as found:
        yield found
