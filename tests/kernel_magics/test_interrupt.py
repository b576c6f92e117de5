"""The stop button stops the step, and nothing else."""

from __future__ import annotations

import contextlib
import os
import time
from pathlib import Path

import pytest

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, state_of, until


def is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture(scope="module", autouse=True)
def warm(kernel: Kernel) -> None:
    """The engine is up before anything is measured."""
    kernel.run("%%step\npass")


def test_it_raises_keyboardinterrupt_within_a_second_and_the_kernel_lives_on(kernel: Kernel):
    id = kernel.begin("%%step stopped\nimport time\nkept = [1]\nprint('going', flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "going")
    began = time.monotonic()
    kernel.interrupt()
    ran = kernel.finish(id)
    assert time.monotonic() - began < 1
    assert ran.error is not None
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert "time.sleep(60)" in ran.words
    assert kernel.run("kept, 1 + 1").result == "([1], 2)"
    assert kernel.run("%%step stopped\n1 + 2").result == "3"


def test_it_is_in_the_records_as_cancelled(kernel: Kernel):
    id = kernel.begin("%%step recorded_stop\nimport time\nprint('going', flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "going")
    kernel.interrupt()
    kernel.finish(id)
    assert "recorded_stop" in (shown := kernel.run("%steps").result)
    assert next(line for line in shown.splitlines() if line.startswith("recorded_stop")).split()[1] == "cancelled"


def test_user_code_may_catch_it_and_go_on(kernel: Kernel):
    id = kernel.begin(
        "%%step\nimport time\nprint('going', flush=True)\ntry:\n    time.sleep(60)\n"
        "except KeyboardInterrupt:\n    caught = 'yes'"
    )
    kernel.until_output(id, "going")
    kernel.interrupt()
    assert kernel.finish(id).error is None
    assert kernel.look("caught") == "yes"


def test_a_second_one_ends_a_step_that_will_not_listen(kernel: Kernel):
    id = kernel.begin(
        "%%step stubborn\nimport time, os\nprint('pid', os.getpid(), flush=True)\nwhile True:\n    try:\n"
        "        time.sleep(60)\n    except KeyboardInterrupt:\n        print('no', flush=True)"
    )
    kernel.until_output(id, "pid")
    kernel.interrupt()
    kernel.until_output(id, "no")
    kernel.interrupt()
    ran = kernel.finish(id, timeout=10)
    assert ran.error is not None
    assert ran.error["ename"] in {"StepCancelled", "KeyboardInterrupt"}
    assert kernel.run("%%step stubborn\n'free again'").result == "'free again'"


@pytest.mark.parametrize("pause", [0.01, 0.05, 0.1])
def test_two_at_once_reach_the_step(kernel: Kernel, home: Home, notebook: str, pause: float):
    id = kernel.begin("%%step twice\nimport time\nprint('going', flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "going")
    kernel.interrupt()
    time.sleep(pause)
    kernel.interrupt()
    ran = kernel.finish(id, timeout=10)
    assert ran.error is not None
    assert ran.error["ename"] in {"StepCancelled", "KeyboardInterrupt"}
    assert state_of(home.client(), notebook, "twice") == "cancelled"


def test_one_that_comes_before_the_engine_has_the_step_keeps_it_from_running(
    kernel: Kernel, home: Home, notebook: str, tmp_path: Path
):
    home.kill_engine()
    id = kernel.begin(
        f"%%step early\nimport pathlib, time\npathlib.Path({str(tmp_path / 'ran')!r}).touch()\ntime.sleep(9)"
    )
    time.sleep(0.4)  # the next engine is still starting
    kernel.interrupt()
    ran = kernel.finish(id, timeout=20)
    assert ran.error is not None
    assert ran.error["ename"] == "KeyboardInterrupt"
    assert ran.words == "KeyboardInterrupt: the step has not begun"
    assert ran.seconds < 4
    time.sleep(0.5)
    assert not (tmp_path / "ran").exists()
    assert not [each for each in home.client().notebook_steps(notebook) if each["name"] == "early"]


def test_a_stopped_step_takes_what_it_started_with_it(kernel: Kernel):
    id = kernel.begin(
        "%%step\nimport subprocess\nother = subprocess.Popen(['sleep', '300'])\n"
        "print('started', other.pid, flush=True)\nother.wait()"
    )
    seen = ""
    for message in kernel.messages(id):
        if message["msg_type"] == "stream":
            seen += message["content"]["text"]
            if seen.endswith("\n") and "started" in seen:
                kernel.interrupt()
    pid = int(seen.split()[1])
    until(lambda: not is_alive(pid), "the subprocess has ended")


def test_plain_cells_are_stopped_as_ever(kernel: Kernel):
    id = kernel.begin("import time\nprint('plain', flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "plain")
    kernel.interrupt()
    assert kernel.finish(id).error["ename"] == "KeyboardInterrupt"
