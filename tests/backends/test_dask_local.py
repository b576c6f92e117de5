"""The local backend beyond the contract: its process dies, is stopped, is looked at from outside."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import psutil
import pytest

from cellyard.backends.dask_local.backend import DaskLocalBackend
from cellyard.errors import EngineError, WorkerLost, error_from_dict
from cellyard.model.resources import Resources
from tests.backends.engine_probe import DAEMON
from tests.backends.submitting import Inbox, make_task

SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(60)"


def make(folder: Path) -> DaskLocalBackend:
    return DaskLocalBackend(store=str(folder / "store"), runtime=folder, capacity=Resources(cpu=1.0, memory=1 << 30))


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
async def backend(tmp_path: Path, inbox: Inbox) -> AsyncIterator[DaskLocalBackend]:
    made = make(tmp_path)
    await made.start(inbox.listen)
    yield made
    await made.close()


def kill(backend: DaskLocalBackend, number: int = signal.SIGKILL) -> int:
    """Send the Dask process a signal; returns its pid."""
    pid = backend.pid
    assert pid is not None
    os.kill(pid, number)
    return pid


async def test_when_the_process_dies_what_ran_is_lost_and_what_waited_runs(
    backend: DaskLocalBackend, inbox: Inbox
) -> None:
    runs, waits, waits_too = make_task(SLEEP), make_task("print('after')"), make_task("pass")
    for task in (runs, waits, waits_too):
        await backend.submit(task)
    started = await inbox.saw(runs, "started")
    pid = kill(backend)
    last = await inbox.finished(runs)
    assert last["state"] == "lost"
    assert last["error"]["cause"] == f"The Dask process (pid {pid}) was killed by SIGKILL."
    assert isinstance(error_from_dict(last["error"]["cellyard"]), WorkerLost)
    for task in (waits, waits_too):
        assert (await inbox.finished(task))["state"] == "succeeded"
    assert inbox.order([waits_too, waits]) == [waits, waits_too]
    # It is told as soon as the Dask process is dead; what was below it follows.
    async with asyncio.timeout(30):
        while psutil.pid_exists(started["pid"]):
            await asyncio.sleep(0.02)
    assert backend.pid != pid


async def test_a_waiting_step_that_was_cancelled_stays_so_though_the_process_dies(
    backend: DaskLocalBackend, inbox: Inbox
) -> None:
    runs, waits = make_task(SLEEP), make_task("print('never')")
    await backend.submit(runs)
    await backend.submit(waits)
    await inbox.saw(runs, "started")
    pid = backend.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)  # so that it cannot answer any more
    await backend.cancel(waits.token)
    os.kill(pid, signal.SIGKILL)
    assert (await inbox.finished(waits))["state"] == "cancelled"
    await inbox.finished(runs)
    await backend.wait_ready()
    assert len(inbox.messages[waits.token]) == 1


async def test_a_process_that_was_asked_to_end_takes_its_steps_along(backend: DaskLocalBackend, inbox: Inbox) -> None:
    task = make_task(SLEEP)
    await backend.submit(task)
    started = await inbox.saw(task, "output")
    assert started is not None
    processes = psutil.Process(kill(backend, signal.SIGTERM)).children(recursive=True)
    assert (await inbox.finished(task))["state"] in ("cancelled", "lost")
    _, alive = psutil.wait_procs(processes, timeout=5)
    assert not alive


async def test_a_process_that_keeps_dying_is_given_up_with_a_reason(backend: DaskLocalBackend, inbox: Inbox) -> None:
    task = make_task("pass")
    await backend.submit(task)
    killed: set[int] = set()
    async with asyncio.timeout(30):
        while len(killed) < 5:
            if backend.pid is not None and backend.pid not in killed:
                killed.add(kill(backend))
            await asyncio.sleep(0.01)
    assert (await inbox.finished(task))["state"] == "lost"
    with pytest.raises(EngineError, match=r"killed by SIGKILL\. It died 5 times in a minute"):
        await backend.submit(make_task("pass"))
    with pytest.raises(EngineError, match="did not start"):
        await backend.wait_ready()


async def test_the_process_may_be_started_before_there_is_a_loop(tmp_path: Path, inbox: Inbox) -> None:
    backend = make(tmp_path)
    backend.start_process()
    pid = backend.pid
    await backend.start(inbox.listen)
    await backend.wait_ready()
    assert backend.pid == pid
    await backend.close()
    assert backend.pid is None


async def test_a_process_that_is_not_ready_yet_is_closed_at_once(tmp_path: Path, inbox: Inbox) -> None:
    backend = make(tmp_path)
    await backend.start(inbox.listen)
    task = make_task("pass")
    await backend.submit(task)
    await asyncio.sleep(0.1)
    pid = backend.pid
    assert pid is not None
    async with asyncio.timeout(1):
        await backend.close()
    assert inbox.messages[task.token][-1]["state"] == "lost"
    assert not psutil.pid_exists(pid)


async def test_a_backend_that_was_never_started_closes(tmp_path: Path) -> None:
    backend = make(tmp_path)
    backend.start_process()
    pid = backend.pid
    await backend.close()
    assert pid is not None
    assert not psutil.pid_exists(pid)


async def test_no_process_listens_on_any_port(backend: DaskLocalBackend, inbox: Inbox) -> None:
    task = make_task(SLEEP)
    await backend.submit(task)
    await inbox.saw(task, "output")
    assert backend.pid is not None
    process = psutil.Process(backend.pid)
    for each in (process, *process.children(recursive=True)):
        assert each.net_connections(kind="inet") == []


async def test_ctrl_c_in_the_engines_terminal_does_not_reach_the_process(
    backend: DaskLocalBackend, inbox: Inbox
) -> None:
    await backend.wait_ready()
    assert backend.pid is not None
    assert os.getsid(backend.pid) == backend.pid
    kill(backend, signal.SIGINT)
    task = make_task("pass")
    await backend.submit(task)
    assert (await inbox.finished(task))["state"] == "succeeded"


async def test_dask_settings_of_the_user_change_nothing(
    tmp_path: Path, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dask.yaml").write_text("distributed: {worker: {preload: [no_such_module]}}", encoding="utf-8")
    monkeypatch.setenv("DASK_CONFIG", str(tmp_path))
    monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", "tcp://192.0.2.1:8786")
    monkeypatch.setenv("DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES", "7")
    backend = make(tmp_path)
    await backend.start(inbox.listen)
    task = make_task("pass")
    await backend.submit(task)
    assert (await inbox.finished(task))["state"] == "succeeded"
    await backend.close()


async def test_what_a_lost_step_parent_leaves_behind_is_ended(backend: DaskLocalBackend, inbox: Inbox) -> None:
    task = make_task(DAEMON + "print('begun', flush=True)\ntime.sleep(60)")
    await backend.submit(task)
    await inbox.saw(task, "output")
    started = await inbox.saw(task, "started")
    step = psutil.Process(started["pid"])
    daemons, parent = step.children(), step.parent()
    assert daemons
    assert parent is not None
    parent.kill()
    await inbox.finished(task)
    _, alive = await asyncio.to_thread(psutil.wait_procs, daemons, timeout=10)
    assert not alive


def test_when_the_engine_is_killed_everything_below_it_ends(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.backends.engine_probe", str(tmp_path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as engine:
        assert engine.stdout is not None
        processes = [psutil.Process(pid) for pid in json.loads(engine.stdout.readline())]
        assert len(processes) >= 4  # Dask, the step parent, the step, its daemon
        engine.kill()
        _, alive = psutil.wait_procs(processes, timeout=10)
    assert not alive


def test_nothing_is_kept_of_steps_and_every_connection_is_quick(tmp_path: Path) -> None:
    command = [sys.executable, "-W", "error", "-m", "tests.backends.host_probe", str(tmp_path), "500"]
    found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    assert found.pop("intervals") == [0.0002] * 4
    assert found.pop("one_each")
    assert found.pop("states") == ["cancelled", "succeeded"]
    assert found.pop("threads") == ["MainThread"]
    assert found.pop("prefixes") == 1
    assert found == dict.fromkeys(found, 0)
