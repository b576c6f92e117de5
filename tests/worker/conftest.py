"""One real pool for the tests of a module."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from cellyard.worker.pool import StepPool
from tests.worker.running import Stepper


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def steps(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stepper]:
    """Runs cells in a pool of the module's own."""
    folder: Path = tmp_path_factory.mktemp("pool")
    pool = StepPool(store=str(folder / "store"), runtime=folder / "runtime")
    await pool.start()
    yield Stepper(pool, str(folder / "store"))
    await pool.close()
