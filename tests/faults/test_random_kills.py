"""Processes are killed at random while steps run: whatever a cell was told had succeeded is there afterwards, whole."""

from __future__ import annotations

import itertools
import os
import random
import signal

import pytest

from cellyard import History
from cellyard.artifacts.store import open_store
from tests.faults.killers import TOLD, Killer
from tests.faults.processes import command_of, descendants_of
from tests.notebooks.kernels import Kernel
from tests.service.engines import Home

STEPS = 150
NOTEBOOK = "/tmp/notebook.ipynb"


class EngineKiller(Killer):
    """Kills the engine, or anything below it. What it hit is in ``killed``."""

    def __init__(self, home: Home, seed: int) -> None:
        super().__init__(home, seed)
        self.killed: list[str] = []

    def strike(self, engine: int) -> None:
        victim = self.random.choice([engine, *sorted(descendants_of(engine))])
        name = command_of(victim)
        try:
            os.kill(victim, signal.SIGKILL)
        except OSError:  # it has just ended
            return
        self.killed.append(name)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_what_was_said_to_have_succeeded_is_there_whole(kernel: Kernel, home: Home):
    seed = random.randrange(1 << 32)
    killer = EngineKiller(home, seed)
    kernel.run("%%step warm\n1")
    killer.start()
    succeeded, told = {}, []
    # The busier the machine, the fewer end between two kills.
    for number in itertools.count():
        if number >= STEPS and len(succeeded) > STEPS // 4:
            break
        cell = (
            f"%%step n{number}\nimport time\nmade_{number} = list(range({number}, 100_000))\ntime.sleep(0.1)\n{number}"
        )
        ran = kernel.try_run(cell, timeout=120)
        if ran.error is None:
            succeeded[f"n{number}"] = number
        else:
            told.append(ran.error["ename"])
    killer.end()
    assert len(killer.killed) > 20, f"seed {seed}"
    assert told, f"nothing was ever hit: {killer.killed}"
    assert set(told) <= TOLD, f"seed {seed}"

    ran = kernel.run("%%step after\nimport time\n'alive'")
    assert ran.result == "'alive'"
    history = History(home.settings)
    steps = {step.name: step for step in history.steps(NOTEBOOK)}
    for name, number in succeeded.items():
        assert steps[name].state == "succeeded"
        assert steps[name][f"made_{number}"] == list(range(number, 100_000))
    history.close()
    damaged = [error for _, error in open_store(home.settings.store).verify() if error is not None]
    assert not damaged
    print(f"{len(killer.killed)} killed, {len(told)} of {number} steps told so, seed {seed}")
