"""An engine that is killed in the middle of a step: a clear error, no leftovers, and the next step works."""

from __future__ import annotations

import os
import signal

from tests.faults.processes import descendants_of, is_alive
from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, until


def test_the_cell_says_so_the_run_is_lost_and_the_next_step_works(kernel: Kernel, home: Home):
    kernel.run("%%step before\nkept = [1, 2]")
    id = kernel.begin("%%step doomed\nimport os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "pid")
    client = home.client()
    facts = client.info()
    assert facts is not None
    engine = facts["pid"]
    below = descendants_of(engine)
    [step] = [s for s in client.notebook_steps("/tmp/notebook.ipynb") if s["name"] == "doomed"]
    until(lambda: client.steps(step["run_id"])[0]["pid"] is not None, "the step's process is known")
    child = client.steps(step["run_id"])[0]["pid"]
    assert child in below
    assert is_alive(child)

    os.kill(engine, signal.SIGKILL)
    until(lambda: not is_alive(engine), "the engine is dead")
    ran = kernel.finish(id, timeout=30)

    assert ran.error is not None
    assert ran.error["ename"] == "WorkerLost"
    assert "doomed" in ran.error["evalue"]
    assert "The engine that ran it ended before it had finished. Execute the cell again." in ran.error["evalue"]
    until(lambda: not any(map(is_alive, below)), "nothing of the old engine lives")
    assert kernel.run("%%step after\nlen(kept) + 1").result == "3"
    facts = client.ensure()
    assert facts["pid"] != engine
    assert client.run(step["run_id"])["state"] == "lost"
    assert client.steps(step["run_id"])[0]["state"] == "lost"
    states = {s["name"]: s["state"] for s in client.notebook_steps("/tmp/notebook.ipynb")}
    assert states == {"before": "succeeded", "doomed": "lost", "after": "succeeded"}


def test_one_that_was_killed_while_nothing_ran_is_replaced_unnoticed(kernel: Kernel, home: Home):
    kernel.run("%%step first\nbig = list(range(100_000))")
    engine = home.kill_engine()
    until(lambda: not is_alive(engine), "the engine is dead")
    assert kernel.run("len(big)").result == "100000", "fetching needs no engine"
    ran = kernel.run("%%step second\nbig[-1]")
    assert ran.result == "99999"
    assert not ran.stderr
