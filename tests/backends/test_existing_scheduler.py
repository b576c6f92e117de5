"""Steps on a Dask cluster that is there already, here on this machine: a real scheduler and a real worker."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from cellyard.backends.dask_on_kubernetes.backend import DaskOnKubernetesBackend
from cellyard.cli import main
from cellyard.model.kubernetes import KubernetesSettings
from tests.backends.submitting import Inbox, make_task, outputs

SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


class DaskCluster(NamedTuple):
    """Its scheduler's address, and the process of its one worker of two threads."""

    address: str
    worker: subprocess.Popen[str]


@pytest.fixture(scope="module")
def dask_cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    tmp_path = tmp_path_factory.mktemp("dask")
    dask = [sys.executable, "-m", "dask"]
    log = tmp_path / "scheduler.log"
    with log.open("w") as file:
        scheduler = subprocess.Popen(
            [*dask, "scheduler", "--host", "127.0.0.1", "--port", "0", "--no-dashboard"], stderr=file, cwd=tmp_path
        )
    address = ""
    while not address:
        assert scheduler.poll() is None, log.read_text()
        found = re.search(r"Scheduler at:\s+(tcp://\S+)", log.read_text())
        address = found[1] if found else ""
    worker = subprocess.Popen(
        [*dask, "worker", address, "--nthreads", "2", "--no-nanny", "--memory-limit", "2GiB", "--no-dashboard"],
        stderr=subprocess.DEVNULL,
        cwd=tmp_path,
        text=True,
    )
    yield DaskCluster(address, worker)
    for each in (worker, scheduler):
        each.terminate()
        each.wait(20)


def test_check_runs_a_step_there(
    dask_cluster: DaskCluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CELLYARD_STORE", str(tmp_path / "store"))
    monkeypatch.setenv("CELLYARD_KUBERNETES_SCHEDULER", dask_cluster.address)
    code = main(["kubernetes", "check"])
    said = " ".join(capsys.readouterr().out.split())
    assert code == 0, said
    assert f"{dask_cluster.address}: reached, and a worker of it" in said
    assert "what the step wrote was read here" in said
    assert "operator" not in said


async def test_steps_run_on_its_workers_as_many_as_fit(dask_cluster: DaskCluster, tmp_path: Path) -> None:
    settings = KubernetesSettings(scheduler=dask_cluster.address, memory=256 << 20)
    backend = DaskOnKubernetesBackend(store=str(tmp_path / "store"), runtime=tmp_path, settings=settings)
    inbox = Inbox()
    await backend.start(inbox.listen)
    tasks = [make_task("import os, time\nprint(os.getppid())\ntime.sleep(0.2)") for _ in range(5)]
    for task in tasks:
        await backend.submit(task)
    for task in tasks:
        assert (await inbox.finished(task))["state"] == "succeeded"
        assert outputs(inbox.messages[task.token])
    assert inbox.most_at_once(tasks) == 2
    order = inbox.order(tasks)
    assert all(abs(order.index(task) - place) <= 1 for place, task in enumerate(tasks)), "two begin side by side"
    # What is too large is said; an interrupt reaches it; a worker that is lost is said, too.
    large = make_task("pass", cpu=3.0)
    await backend.submit(large)
    assert "no worker of this size" in (await inbox.saw(large, "note"))["text"]
    await backend.cancel(large.token)
    running = make_task(SLEEP)
    await backend.submit(running)
    await inbox.saw(running, "output")
    await backend.interrupt(running.token)
    assert (await inbox.finished(running))["error"]["type"] == "KeyboardInterrupt"
    doomed = make_task(SLEEP)
    await backend.submit(doomed)
    await inbox.saw(doomed, "output")
    os.kill(dask_cluster.worker.pid, signal.SIGKILL)
    assert (await inbox.finished(doomed))["state"] == "lost"
    await backend.close()


async def test_a_scheduler_that_does_not_answer_is_said(tmp_path: Path) -> None:
    settings = KubernetesSettings(scheduler="tcp://127.0.0.1:9", memory=256 << 20)
    backend = DaskOnKubernetesBackend(store=str(tmp_path / "store"), runtime=tmp_path, settings=settings)
    inbox = Inbox()
    await backend.start(inbox.listen)
    task = make_task("pass")
    await backend.submit(task)
    assert "cannot be reached" in (await inbox.saw(task, "note"))["text"]
    await backend.close()
    assert inbox.messages[task.token][-1]["state"] == "cancelled"
