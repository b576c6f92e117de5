"""The Dask process, or the process of a step, is killed: a clear error, or another try; the engine goes on."""

from __future__ import annotations

import os
import signal

from tests.faults.processes import dask_process_below, descendants_of, is_alive
from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, until


def dask_process(home: Home) -> int:
    """The process that holds scheduler and worker."""
    facts = home.client().info()
    assert facts is not None
    return dask_process_below(facts["pid"])


def test_a_lost_worker_is_told_and_replaced(kernel: Kernel, home: Home):
    id = kernel.begin("%%step on_lost\nimport time\nprint('going', flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "going")
    worker, engine = dask_process(home), home.client().ensure()["pid"]
    below = descendants_of(worker)
    os.kill(worker, signal.SIGKILL)
    until(lambda: not is_alive(worker), "the Dask process is dead")
    ran = kernel.finish(id, timeout=60)
    assert ran.error is not None
    assert ran.error["ename"] == "WorkerLost"
    assert "on_lost" in ran.error["evalue"]
    until(lambda: not any(map(is_alive, below)), "its steps ended with it")
    assert kernel.run("%%step again\n1 + 1").result == "2"
    assert dask_process(home) != worker
    assert home.client().ensure()["pid"] == engine
    states = {s["name"]: s["state"] for s in home.client().notebook_steps("/tmp/notebook.ipynb")}
    assert states == {"on_lost": "lost", "again": "succeeded"}


def test_with_retries_the_step_runs_again_on_the_next_worker(kernel: Kernel, home: Home):
    id = kernel.begin(
        "%%step retried --retries 1\nimport time, os, pathlib\n"
        "mark = pathlib.Path(os.environ['CELLYARD_HOME'], 'mark')\n"
        "if not mark.exists():\n    mark.touch()\n    print('going', flush=True)\n    time.sleep(60)\n'second time'"
    )
    kernel.until_output(id, "going")
    worker = dask_process(home)
    os.kill(worker, signal.SIGKILL)
    until(lambda: not is_alive(worker), "the Dask process is dead")
    ran = kernel.finish(id, timeout=60)
    assert ran.error is None, ran.words
    assert ran.result == "'second time'"
    assert "attempt 1 of 2 ended with WorkerLost" in ran.stderr


def test_a_step_process_that_is_killed_is_told_and_all_else_goes_on(kernel: Kernel, home: Home):
    id = kernel.begin("%%step shot\nimport os, time\nprint('pid', os.getpid(), flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "\n")
    client = home.client()
    run = client.runs(limit=1)[0]["id"]
    until(lambda: client.steps(run)[0]["pid"] is not None, "the step's process is known")
    child = client.steps(run)[0]["pid"]
    worker = dask_process(home)
    os.kill(child, signal.SIGKILL)
    until(lambda: not is_alive(child), "the step's process is dead")
    ran = kernel.finish(id, timeout=60)
    assert ran.error is not None
    assert ran.error["ename"] == "StepKilled"
    assert "SIGKILL" in ran.error["evalue"]
    assert dask_process(home) == worker
    assert kernel.run("%%step shot\n'alive'").result == "'alive'"
