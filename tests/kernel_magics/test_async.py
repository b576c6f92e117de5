"""%%step --async frees the kernel; whoever uses what it makes waits for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, until

WAITS = "import time, os\nwhile not os.path.exists({path!r}):\n    time.sleep(0.02)\n"


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A step that waits for this file goes on when it is there."""
    return tmp_path / "go"


class Begun:
    """A cell that has ended and may show more, with all that it has shown so far."""

    def __init__(self, kernel: Kernel, cell: str) -> None:
        self._kernel = kernel
        self._id = kernel.begin(cell)
        self.seen = list(kernel.messages(self._id))

    def has(self, kind: str) -> bool:
        return any(each["msg_type"] == kind for each in self.seen)

    def until(self, enough: Callable[[], bool]) -> None:
        """Return when it has shown enough."""
        deadline = time.monotonic() + 30
        while not enough():
            if self._kernel.passed_by:
                message = self._kernel.passed_by.popleft()
            else:
                message = self._kernel.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") == self._id:
                self.seen.append(message)

    @property
    def text(self) -> str:
        return text(self.seen)


def text(messages: list[dict[str, Any]]) -> str:
    return "".join(each["content"]["text"] for each in messages if each["msg_type"] == "stream")


def test_the_kernel_is_free_and_the_value_is_waited_for(kernel: Kernel, gate: Path):
    kernel.run(f"%%step slow --async\n{WAITS.format(path=str(gate))}\nmade = [1, 2]\nother = len(made)")
    assert kernel.run("1 + 1").result == "2"
    waiting = kernel.begin("sum(made) + other")
    kernel.until_output(waiting, "waiting for step 'slow'")
    gate.touch()
    ran = kernel.finish(waiting)
    assert ran.result == "5"
    assert kernel.look("type(made).__name__, made") == ("list", [1, 2])


def test_what_it_shows_appears_under_its_own_cell_while_others_run(kernel: Kernel, gate: Path):
    cell = Begun(
        kernel,
        f"%%step talks --async\nprint('first')\n{WAITS.format(path=str(gate))}\nprint('second')\n"
        "from IPython.display import display, HTML\ndisplay(HTML('<b>x</b>'))\n6 * 7",
    )
    cell.until(lambda: "first" in cell.text)
    other = kernel.run("print('plain')")
    assert (other.stdout, other.outputs[0]["type"]) == ("plain\n", "stream")
    gate.touch()
    cell.until(lambda: cell.has("execute_result"))
    shown = [m["msg_type"] for m in cell.seen if m["msg_type"] not in {"status", "execute_input"}]
    assert shown == ["stream", "stream", "display_data", "execute_result"]
    assert cell.text == "first\nsecond\n"
    assert cell.seen[-1]["content"]["data"]["text/plain"] == "42"
    number = cell.seen[-1]["content"]["execution_count"]
    assert kernel.run(f"Out[{number}]").result == "42"


def test_what_it_prints_is_seen_at_once(kernel: Kernel):
    cell = Begun(
        kernel,
        "%%step speaks --async\nimport time\nfor _ in range(5):\n    print(time.time())\n    time.sleep(0.15)\n"
        "said = 1",
    )
    cell.until(lambda: len(cell.text.split()) == 5)
    streams = [each for each in cell.seen if each["msg_type"] == "stream"]
    late = [
        each["header"]["date"].timestamp() - float(line) for each in streams for line in each["content"]["text"].split()
    ]
    assert min(late) < 0.2  # the others may have met a machine that had much else to do
    assert kernel.run("said").result == "1"


def test_its_failure_is_shown_there_and_raised_where_its_values_are_used(kernel: Kernel):
    cell = Begun(kernel, "%%step fails --async\nearly = 1\nlate_one = {}['missing']")
    cell.until(lambda: cell.has("error"))
    assert cell.seen[-1]["content"]["ename"] == "KeyError"
    failed = kernel.fail("late_one")
    assert failed.error["ename"] == "KeyError"
    assert "in step 'fails'" in failed.words
    assert kernel.run("early").result == "1"
    assert kernel.fail("%%step takes\nlate_one + 1").error["ename"] == "KeyError"
    kernel.run("late_one = 5")
    assert kernel.run("late_one").result == "5"


def test_names_bound_anew_meanwhile_stay_and_changed_inputs_come_back(kernel: Kernel, gate: Path):
    kernel.run("items, kept, handed = [1], 'before', [1]\ndef change(x):\n    x.append(9)")
    kernel.run(
        f"%%step changes --async\n{WAITS.format(path=str(gate))}\nitems.append(2)\nkept = 'step'\nchange(handed)\n"
        "if False:\n    never = 1"
    )
    kernel.run("kept = 'after'")
    assert kernel.run("handed").result == "[1]"
    gate.touch()
    assert kernel.run("items").result == "[1, 2]"
    assert kernel.look("kept") == "after"
    assert kernel.look("handed") == [1, 9]
    assert kernel.fail("never").error["ename"] == "NameError"


def test_a_further_step_takes_what_an_earlier_one_makes(kernel: Kernel, gate: Path):
    kernel.run(f"%%step one --async\n{WAITS.format(path=str(gate))}\nbase = list(range(10))")
    waiting = kernel.begin("%%step two\ntotal = sum(base)\ntotal")
    kernel.until_output(waiting, "waiting for step 'one'")
    gate.touch()
    assert kernel.finish(waiting).result == "45"


def test_waiting_may_be_interrupted_and_the_step_goes_on(kernel: Kernel, gate: Path):
    kernel.run(f"%%step patient --async\n{WAITS.format(path=str(gate))}\nlater_value = 7")
    waiting = kernel.begin("print('not reached', later_value)")
    kernel.until_output(waiting, "waiting for step 'patient'")
    kernel.interrupt()
    ran = kernel.finish(waiting)
    assert ran.error is not None
    assert ran.words.startswith("KeyboardInterrupt: no longer waits for step 'patient' (run ")
    assert "not reached" not in ran.stdout
    for asking in ("%steps wait patient", "%%step takes_it\nlater_value", "globals()['later' + '_value'] + 1"):
        waiting = kernel.begin(asking)
        kernel.until_output(waiting, "waiting for step 'patient'")
        kernel.interrupt()
        words = kernel.finish(waiting).words
        assert "no longer waits for step 'patient'" in words
        assert ("\n" in words) == ("globals" in asking)
        assert "kernel_magics" not in words
    gate.touch()
    assert kernel.run("later_value").result == "7"


def test_looking_at_a_value_from_outside_of_cells_does_not_hold_the_kernel(kernel: Kernel, gate: Path):
    kernel.run(f"%%step looked_at --async\n{WAITS.format(path=str(gate))}\npending_text = 'abc'")
    began = time.monotonic()
    kernel.complete("pending_text.up")
    kernel.inspect("pending_text")
    assert time.monotonic() - began < 10
    gate.touch()
    assert kernel.run("%steps wait looked_at\npending_text.upper()").result == "'ABC'"


def test_many_at_once_are_read_by_one_thread(kernel: Kernel, gate: Path):
    for number in range(4):
        kernel.run(f"%%step par{number} --cpu 0.1 --async\n{WAITS.format(path=str(gate))}\npar{number} = {number}")
    names = kernel.look("[t.name for t in __import__('threading').enumerate()]")
    assert names.count("cellyard-reader") == 1
    gate.touch()
    kernel.run("%steps wait par0 par1 par2 par3")
    assert kernel.look("[par0, par1, par2, par3]") == [0, 1, 2, 3]
    deadline = time.monotonic() + 20
    while "cellyard-reader" in kernel.look("[t.name for t in __import__('threading').enumerate()]"):
        assert time.monotonic() < deadline


def test_cancel_ends_it_and_its_values_say_so(kernel: Kernel, home: Home):
    cell = Begun(kernel, "%%step endless_one --async\nimport time\nprint('up')\ntime.sleep(300)\nunmade = 1")
    cell.until(lambda: "up" in cell.text)
    kernel.run("%steps cancel endless_one")
    cell.until(lambda: cell.has("error"))
    assert cell.seen[-1]["content"]["ename"] == "StepCancelled"
    assert kernel.fail("unmade").error["ename"] == "StepCancelled"
    refused = kernel.fail("%steps cancel endless_one")
    assert "does not run" in refused.error["evalue"]


def test_wait_raises_what_failed(kernel: Kernel):
    kernel.try_run("%%step breaks --async\nunbound = 1/0")  # its error may be shown at once
    assert kernel.fail("%steps wait breaks").error["ename"] == "ZeroDivisionError"


def test_wait_tells_all_that_have_failed(kernel: Kernel):
    kernel.try_run("%%step breaks_first --async\nnone_one = 1/0")
    kernel.try_run("%%step breaks_second --async\nnone_two = {}['x']")
    failed = kernel.fail("%steps wait breaks_first breaks_second")
    assert failed.error["ename"] == "ZeroDivisionError"
    assert "note: step 'breaks_second' has failed, too: KeyError: 'x'" in failed.stderr


def test_a_notimplementederror_is_told_by_whoever_shows_its_value(kernel: Kernel):
    kernel.try_run("%%step unready --async\nraise NotImplementedError('later')\nnot_there = 1")
    assert kernel.fail("not_there").error["ename"] == "NotImplementedError"


def test_a_module_that_is_imported_again_has_not_changed(kernel: Kernel):
    kernel.run("import time\nlisted = [1]")
    kernel.run("%%step imports --async\nimport time\nlisted.append(2)")
    ran = kernel.run("%steps wait imports")
    assert "has changed" not in ran.stderr
    assert kernel.look("listed") == [1, 2]


def test_catch_binds_the_exception_and_the_cell_goes_on(kernel: Kernel):
    ran = kernel.run("%%step risky --catch problem\nwhole = 1\nbroken = 1/0")
    assert "kept as 'problem'" in ran.stderr
    late = kernel.run("%%step late --catch late_problem --timeout 200ms\nimport time\ntime.sleep(60)")
    assert "gives it more time; it is kept as" in late.stderr
    assert kernel.run("type(problem).__name__, whole").result == "('ZeroDivisionError', 1)"
    kernel.run("%%step risky --catch problem\nwhole = 2")
    assert kernel.look("problem is None") is True
    kernel.run("%%step risky --catch problem --async\nbroken = 1/0")
    assert kernel.run("type(problem).__name__").result == "'ZeroDivisionError'"


def test_the_stop_button_is_not_caught(kernel: Kernel):
    id = kernel.begin("%%step stopped_one --catch problem\nimport time\nprint('up', flush=True)\ntime.sleep(60)")
    kernel.until_output(id, "up")
    kernel.interrupt()
    ran = kernel.finish(id)
    assert ran.error is not None
    assert ran.error["ename"] == "KeyboardInterrupt"


def test_an_interrupted_wait_before_a_cell_that_does_not_parse_stops_no_later_cell(kernel: Kernel, gate: Path):
    kernel.run(f"%%step slower --async\n{WAITS.format(path=str(gate))}\nlate = 1")
    waiting = kernel.begin("late = late +")
    kernel.until_output(waiting, "waiting for step 'slower'")
    kernel.interrupt()
    assert kernel.finish(waiting).error["ename"] in {"SyntaxError", "KeyboardInterrupt"}
    assert kernel.run("1 + 1").result == "2"
    gate.touch()
    assert kernel.run("late").result == "1"


def test_what_is_kept_of_a_failure_is_said_and_a_cancelled_step_is_raised_all_the_same(kernel: Kernel, gate: Path):
    cell = Begun(kernel, "%%step kept_later --async --catch problem\n1/0")
    cell.until(lambda: "step 'kept_later' has failed" in cell.text)
    assert "kept as 'problem'" in cell.text
    assert kernel.run("type(problem).__name__").result == "'ZeroDivisionError'"
    cell = Begun(kernel, f"%%step to_cancel --async --catch problem\n{WAITS.format(path=str(gate))}")
    kernel.run("%steps cancel to_cancel")
    cell.until(lambda: cell.has("error"))
    assert kernel.fail("%steps wait to_cancel").error["ename"] == "StepCancelled"


def test_a_widget_message_that_cannot_be_shown_stops_no_other_step(kernel: Kernel, gate: Path):
    """Whatever goes wrong where one step is shown, the others are followed on."""
    kernel.run(
        "import zmq\nfailed = []\nsession = get_ipython().kernel.session\nkept = session.send\n"
        "def send(socket, message, *rest, **more):\n"
        "    if message == 'comm_open':\n        failed.append(message)\n        raise zmq.ZMQError(88)\n"
        "    return kept(socket, message, *rest, **more)\nsession.send = send"
    )
    waits = WAITS.format(path=str(gate))
    kernel.run(f"%%step shows_widget --async\n{waits}\nimport comm\ncomm.create_comm()")
    second = Begun(kernel, f"%%step goes_on --async\n{WAITS.format(path=str(gate))}\nprint('went on')\nwent = 7")
    gate.touch()
    second.until(lambda: "went on" in second.text)
    until(lambda: kernel.look("failed"), "the first step has tried to show its widget")
    assert kernel.run("session.send = kept\nfailed, went").result == "(['comm_open'], 7)"


def test_a_loop_over_one_line_is_no_second_look_at_the_first_step(kernel: Kernel, gate: Path):
    code = f"{WAITS.format(path=str(gate))}\nmade_in_loop = turn"
    ran = kernel.fail(f"for turn in range(2):\n    get_ipython().run_cell_magic('step', 'looped --async', {code!r})\n")
    assert ran.error["ename"] == "StepAlreadyRunning"
    # Executed again with another value, it is another step, too.
    kernel.run("turn = 5")
    gate.touch()
    assert kernel.run("made_in_loop").result == "0"


def test_a_cell_executed_again_with_other_values_is_not_the_step_that_runs(kernel: Kernel, gate: Path):
    cell = f"%%step given --async\n{WAITS.format(path=str(gate))}\nmade_of_given = given"
    kernel.run("given = 1")
    kernel.run(cell)
    kernel.run("given = 2")
    assert kernel.fail(cell).error["ename"] == "StepAlreadyRunning"
    gate.touch()
    assert kernel.run("made_of_given").result == "1"
    assert kernel.run(f"{cell}").error is None
    assert kernel.run("made_of_given").result == "2"
