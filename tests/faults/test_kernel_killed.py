"""A kernel that is killed in the middle of a step: the run ends properly and can be read."""

from __future__ import annotations

import os
import signal

import cellyard
from tests.faults.processes import is_alive
from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, until

CELL = """%%step survivor
import time
print("going", flush=True)
time.sleep(1.5)
made = list(range(20_000))
print("done")
"""


def test_the_step_goes_on_and_its_run_succeeds_and_is_readable(kernel: Kernel, home: Home, monkeypatch):
    id = kernel.begin(CELL)
    kernel.until_output(id, "going")
    os.kill(kernel.pid, signal.SIGKILL)
    until(lambda: not is_alive(kernel.pid), "the kernel is dead")
    client = home.client()
    [step] = client.notebook_steps("/tmp/notebook.ipynb")
    assert step["state"] != "succeeded", "it was killed in the middle"
    until(lambda: client.run(step["run_id"])["state"] == "succeeded", "the run has succeeded")

    for name, value in home.env.items():
        monkeypatch.setenv(name, value)
    history = cellyard.History()
    run = history.run(step["run_id"])
    assert run.state == "succeeded"
    assert run["survivor"].value("made") == list(range(20_000))
    assert run.logs() == "going\ndone\n"
    history.close()
