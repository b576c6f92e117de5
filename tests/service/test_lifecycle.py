"""One engine per home: started once, replaced when it is dead or of another version."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import sys
import threading
import time

import psutil
import pytest

from cellyard import __version__
from cellyard.errors import EngineMismatch, EngineUnavailable, RecordsInUse
from cellyard.service.lifecycle import bind_socket, log_path, spawn_engine
from cellyard.settings import prepare_runtime
from tests.service.engines import Home, engine_home, finished, run_step, step, until, until_it_runs

ENSURE = "from cellyard.service.client import EngineClient; print(EngineClient().ensure()['pid'])"
OLDER = "cellyard.__version__ = '0.0.9'"


def test_several_processes_that_start_it_at_once_get_one_engine(home: Home) -> None:
    processes = [
        subprocess.Popen([sys.executable, "-c", ENSURE], env=home.process_env, stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    pids = {process.communicate(timeout=60)[0].strip() for process in processes}
    assert len(pids) == 1
    assert pids == {str(home.client().ensure()["pid"])}


def test_a_second_engine_process_leaves_quietly(home: Home) -> None:
    home.client().ensure()
    before = log_path(home.settings).stat().st_size
    second = spawn_engine(home.settings)
    until(lambda: second.poll() is not None, "it has left")
    assert second.poll() == 0
    assert log_path(home.settings).stat().st_size == before


def test_a_killed_engine_is_replaced_at_the_next_use(home: Home) -> None:
    client = home.client()
    first = client.ensure()["pid"]
    assert finished(run_step(client, "1"))["state"] == "succeeded"
    assert home.kill_engine() == first
    assert home.settings.socket.exists(), "the dead engine's socket is still there"
    assert finished(run_step(client, "2"))["state"] == "succeeded"
    assert client.ensure()["pid"] != first


def test_a_killed_engine_leaves_no_process_behind(home: Home) -> None:
    client = home.client()
    client.ensure()
    run_step(client, "1")
    family = psutil.Process(client.ensure()["pid"]).children(recursive=True)
    assert family
    home.kill_engine()
    _, alive = psutil.wait_procs(family, timeout=10)
    assert not alive


def test_a_stale_socket_and_a_stale_lock_file_stop_nobody(home: Home) -> None:
    prepare_runtime(home.settings)
    with socket.socket(socket.AF_UNIX) as left_over:
        left_over.bind(str(home.settings.socket))
    (home.settings.runtime / "engine.lock").write_text("process 1")
    assert home.client().ensure()["version"] == __version__


def test_the_socket_and_its_folder_are_closed_to_others(home: Home) -> None:
    prepare_runtime(home.settings)
    with bind_socket(home.settings):
        assert stat.S_IMODE(home.settings.socket.stat().st_mode) == 0o600
        assert stat.S_IMODE(home.settings.runtime.stat().st_mode) == 0o700


def test_an_engine_of_another_version_finishes_its_steps_and_is_replaced(home: Home) -> None:
    old = home.start_changed(OLDER)
    states: list[str] = []

    def slow() -> None:
        # A client of that version: the steps of its kernel go on.
        probe = f"import cellyard; {OLDER}\nimport sys\n" + SUBMIT_SLOW
        done = subprocess.run(
            [sys.executable, "-c", probe], env=home.process_env, capture_output=True, text=True, check=False
        )
        states.append(done.stdout.strip() or done.stderr)

    submitting = threading.Thread(target=slow)
    submitting.start()
    until(lambda: (home.client().info() or {"running": 0})["running"] == 1, "the old engine runs the step")
    facts = home.client().ensure()
    assert facts["version"] == __version__
    assert old.wait(timeout=20) == 0
    submitting.join(timeout=30)
    assert states == ["succeeded"]
    assert any("0.0.9" in text for text in home.said)


SUBMIT_SLOW = """
from cellyard.model import StepRequest
from cellyard.service.client import EngineClient
request = StepRequest(notebook='n', session='k', name='slow', source='import time; time.sleep(2)')
print(list(EngineClient().submit_step(request.to_dict()))[-1]['content']['state'])
"""


def test_an_engine_of_another_environment_is_refused_with_a_table(home: Home) -> None:
    old = home.start_changed("sys.prefix = '/elsewhere'")
    with pytest.raises(EngineMismatch) as caught:
        home.client().ensure()
    assert "/elsewhere" in str(caught.value)
    assert sys.prefix in str(caught.value)
    assert old.poll() is None
    old.terminate()
    old.wait(timeout=20)


def test_an_engine_that_cannot_start_is_reported_with_its_log(home: Home) -> None:
    home.folder.joinpath("records.sqlite").write_bytes(b"not a database, but long enough to look like one" * 9)
    with pytest.raises(Exception, match="records") as caught:
        run_step(home.client(), "1")
    assert "records.sqlite" in str(caught.value)


def test_an_engine_whose_process_fails_is_reported_at_once(home: Home) -> None:
    with engine_home(CELLYARD_BACKEND="nonsense") as broken:
        began = time.monotonic()
        with pytest.raises(EngineUnavailable) as caught:
            broken.client().ensure()
        assert time.monotonic() - began < 10
        assert "nonsense" in str(caught.value)


def test_a_second_engine_is_not_let_into_the_records_of_the_first(home: Home) -> None:
    running = home.client().submit_step(step("import time\ntime.sleep(1)\nx = 1"))
    events = [next(running)]
    with engine_home(CELLYARD_RECORDS=home.settings.records) as other:
        with pytest.raises(RecordsInUse, match="cellyard engine stop"):
            run_step(other.client(), "1")
        events += running
        assert finished(events)["state"] == "succeeded"
        home.client().stop(drain=False, timeout=20)
        assert finished(run_step(other.client(), "1"))["state"] == "succeeded"
        assert [run["state"] for run in other.client().runs()] == ["succeeded", "succeeded"]


def test_who_stops_it_has_waited_for_its_process(home: Home) -> None:
    client = home.client()
    pid = client.ensure()["pid"]
    running = client.submit_step(step("import time\ntime.sleep(30)"))
    events = [next(running)]
    assert client.stop(drain=False, timeout=30)
    assert finished([*events, *running])["state"] == "cancelled"
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def test_it_leaves_after_idling(home: Home) -> None:
    with engine_home(CELLYARD_IDLE="1s") as idle:
        client = idle.client()
        pid = client.ensure()["pid"]
        until(lambda: idle.client().info() is None, "the idle engine has left", seconds=15)
        assert not idle.settings.socket.exists()
        assert client.ensure()["pid"] != pid


def test_it_does_not_leave_while_a_step_runs(home: Home) -> None:
    with engine_home(CELLYARD_IDLE="1s") as idle:
        assert finished(run_step(idle.client(), "import time; time.sleep(3)"))["state"] == "succeeded"


def test_terminated_it_ends_its_steps_and_says_so(home: Home) -> None:
    client = home.client()
    stream = client.submit_step(step("import time; time.sleep(60)"))
    until_it_runs(stream)
    os.kill(client.ensure()["pid"], signal.SIGTERM)
    end = finished(list(stream))
    assert end["state"] == "cancelled"
    assert "the engine was stopped" in end["error"]["message"]


def test_the_socket_path_fits_also_below_a_long_home() -> None:
    with engine_home(CELLYARD_RUNTIME="") as home:
        assert len(os.fsencode(home.settings.socket)) < 107
