"""Thousands of steps in one engine: nothing grows, nothing is left behind."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from cellyard.worker.memory import anonymous_memory
from tests.faults.processes import dask_process_below, descendants_of
from tests.notebooks.kernels import Kernel
from tests.service.engines import Home

STEPS = 2000
BETWEEN = 500
GROWTH = 40 << 20
"""Bytes that engine, Dask process and kernel together may grow by between two looks."""

CELL = """%%step soak
import numpy as np
print('line', {number})
big = np.arange(20_000 + {number})
small = {{'n': {number}, 'names': ['a', 'b']}}
def helper(x):
    return x + {number}
helper(1)
"""


def look(kernel: Kernel, home: Home) -> tuple[int, int, int]:
    """Memory of the processes that stay, their open files, and how many processes there are."""
    time.sleep(0.5)  # the last step's process has ended, and the next ones are there
    facts = home.client().ensure()
    below = descendants_of(facts["pid"])
    staying = [facts["pid"], kernel.pid, dask_process_below(facts["pid"])]
    files = sum(len(list(Path(f"/proc/{pid}/fd").iterdir())) for pid in staying)
    return sum(map(anonymous_memory, staying)), files, len(below)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_nothing_grows_over_thousands_of_steps(kernel: Kernel, home: Home):
    seen = []
    for number in range(STEPS + 1):
        ran = kernel.run(CELL.format(number=number))
        assert ran.result == str(number + 1)
        assert ran.stdout == f"line {number}\n"
        if number and number % BETWEEN == 0:
            seen.append(look(kernel, home))
    memory, files, processes = zip(*seen, strict=True)
    print(f"after {BETWEEN} steps each: memory {memory}, files {files}, processes {processes}")
    assert memory[-1] - memory[0] < GROWTH, memory
    assert files[-1] - files[0] < 20, files
    assert max(processes) <= min(processes) + 2, processes
    assert not list(Path(home.settings.store, "tmp").iterdir())
