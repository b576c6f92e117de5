"""A kernel that was restarted, or a page that was loaded anew, finds its steps again; nothing runs twice."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from jupyter_client.session import Session

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home, until


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home() as found:
        yield found


class Cell:
    """A step that says when it has begun, waits for a file, and counts how often it was run."""

    def __init__(self, folder: Path, options: str = "") -> None:
        self.gate = folder / "go"
        self.count = folder / "count"
        self.text = (
            f"%%step working {options}\nimport os, time\nwith open({str(self.count)!r}, 'a') as file:\n"
            f"    file.write('x')\nprint('one', flush=True)\nwhile not os.path.exists({str(self.gate)!r}):\n"
            "    time.sleep(0.02)\nprint('two')\nmade = [1, 2, 3]\nlen(made)"
        )

    @property
    def times(self) -> int:
        return len(self.count.read_text())


@pytest.fixture
def notebook(tmp_path: Path) -> dict[str, str]:
    """A notebook of the test's own."""
    return {"JPY_SESSION_NAME": str(tmp_path / "notebook.ipynb")}


def begin_and_die(home: Home, notebook: dict[str, str], cell: Cell) -> None:
    """A kernel begins the step and is killed while that runs."""
    with kernel_at({**home.env, **notebook}) as kernel:
        id = kernel.begin(cell.text)
        if "--async" in cell.text:
            kernel.finish(id)
            until(cell.count.exists, "the step has begun")
        else:
            kernel.until_output(id, "one")


def state_of(home: Home, notebook: dict[str, str]) -> str:
    [step] = home.client().notebook_steps(notebook["JPY_SESSION_NAME"])
    return str(step["state"])


def test_the_same_cell_attaches_while_the_step_runs(home: Home, notebook: dict[str, str], tmp_path: Path):
    cell = Cell(tmp_path)
    begin_and_die(home, notebook, cell)
    with kernel_at({**home.env, **notebook}, load=False) as kernel:
        assert kernel.run("%load_ext kernel_magics").stdout == "1 step is running: %steps attach\n"
        id = kernel.begin(cell.text)
        kernel.until_output(id, "one")
        cell.gate.touch()
        ran = kernel.finish(id)
        assert ran.error is None, ran.words
        assert "two" in ran.stdout
        assert ran.result == "3"
        assert kernel.run("made, _").result == "([1, 2, 3], 3)"
        assert cell.times == 1
        kernel.run(cell.text)
        assert cell.times == 2


def test_the_same_cell_attaches_though_there_was_no_engine_when_the_magics_were_loaded(
    home: Home, notebook: dict[str, str], tmp_path: Path
):
    cell = Cell(tmp_path)
    begin_and_die(home, notebook, cell)
    cell.gate.touch()
    until(lambda: state_of(home, notebook) == "succeeded", "the step has ended")
    home.kill_engine()
    with kernel_at({**home.env, **notebook}, load=False) as kernel:
        kernel.run("%load_ext kernel_magics")
        # At once, as Run All does: the next engine is still starting.
        assert kernel.run(cell.text).result == "3"
        assert cell.times == 1


#: From a moment on, no engine that this kernel starts can begin.
NO_MORE_ENGINES = """
import os, pathlib, threading, time
def spoil():
    while not pathlib.Path({file!r}).exists():
        time.sleep(0.01)
    os.environ['PYTHONHOME'] = '/nowhere'
threading.Thread(target=spoil, daemon=True).start()
"""
MUCH = "print('x' * 5_000_000)\n"
"""More than a connection holds that nobody reads from."""


@pytest.mark.parametrize("options", ["", "--async"])
def test_a_step_whose_end_was_not_seen_is_found_by_its_cell_in_the_same_kernel(
    home: Home, notebook: dict[str, str], tmp_path: Path, options: str
):
    cell = Cell(tmp_path, options)
    cell.text = cell.text.replace("print('two')", f"{MUCH}print('two')")
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run(NO_MORE_ENGINES.format(file=str(tmp_path / "spoiled")))
        id = kernel.begin(cell.text)
        until(cell.count.exists, "the step has begun")
        (tmp_path / "spoiled").touch()
        time.sleep(0.1)
        with stopped(kernel.pid):
            cell.gate.touch()
            until(lambda: state_of(home, notebook) == "succeeded", "the step has ended")
            home.kill_engine()
        told = kernel.try_run("%steps wait working") if options else kernel.finish(id)
        assert told.error is not None
        assert told.error["ename"] == "EngineUnavailable", told.words
        home.client().ensure()
        again = kernel.begin(cell.text)
        kernel.until_output(again, "two")
        assert kernel.finish(again).error is None
        assert kernel.run("sum(made)").result == "6"
        assert cell.times == 1
        # It has been seen to its end: whoever asks for it now wants it anew.
        kernel.run(cell.text)
        kernel.run("made")
        assert cell.times == 2


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """Meanwhile the process does nothing."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize("options", ["", "--async"])
def test_the_same_cell_replays_a_step_that_has_ended_since(
    home: Home, notebook: dict[str, str], tmp_path: Path, options: str
):
    cell = Cell(tmp_path, options)
    begin_and_die(home, notebook, cell)
    cell.gate.touch()
    until(lambda: state_of(home, notebook) == "succeeded", "the step has ended")
    with kernel_at({**home.env, **notebook}, load=False) as kernel:
        assert kernel.run("%load_ext kernel_magics").stdout == "1 finished: %steps attach\n"
        ran = kernel.run(cell.text)
        assert ran.stdout == "one\ntwo\n"
        assert "run it anew" in ran.stderr
        assert ran.result == "3"
        assert kernel.run("sum(made)").result == "6"
        assert cell.times == 1


def test_attach_takes_over_all_of_them(home: Home, notebook: dict[str, str], tmp_path: Path):
    cell = Cell(tmp_path)
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run("%%step failing --async\nimport time\ntime.sleep(0.5)\n1/0")
        kernel.run("%%step fine --async\nimport time\ntime.sleep(0.5)\nprint('was fine')\nfine = 5")
        kernel.until_output(kernel.begin(cell.text), "one")
    cell.gate.touch()
    states = {"failed", "succeeded"}
    until(
        lambda: {s["state"] for s in home.client().notebook_steps(notebook["JPY_SESSION_NAME"])} <= states,
        "all have ended",
    )
    with kernel_at({**home.env, **notebook}, load=False) as kernel:
        assert kernel.run("%load_ext kernel_magics").stdout == "3 finished: %steps attach\n"
        failed = kernel.fail("%steps attach")
        assert failed.error["ename"] == "ZeroDivisionError"
        assert "was fine" in failed.stdout
        assert kernel.run("made, fine").result == "([1, 2, 3], 5)"
        assert kernel.fail("%steps attach").error["ename"] == "NotFound"


def test_attach_shows_each_failure_and_goes_on(home: Home, notebook: dict[str, str]):
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run("%%step first --async\nimport time\ntime.sleep(0.3)\n1/0")
        kernel.run("%%step second --async\nimport time\ntime.sleep(0.3)\nraise SystemExit('of its own')")
        kernel.run("%%step third --async\nimport time\ntime.sleep(0.3)\n{}['missing']")
        kernel.run("%%step fourth --async\nimport time\ntime.sleep(0.3)\nlast = 4")
    steps = lambda: home.client().notebook_steps(notebook["JPY_SESSION_NAME"])  # noqa: E731
    until(lambda: {each["state"] for each in steps()} <= {"failed", "cancelled", "succeeded"}, "all have ended")
    with kernel_at({**home.env, **notebook}) as kernel:
        id = kernel.begin("%steps attach")
        errors = [each["content"] for each in kernel.messages(id) if each["msg_type"] == "error"]
        assert [each["ename"] for each in errors] == ["SystemExit", "KeyError", "ZeroDivisionError"]
        assert "'missing'" in "".join(errors[1]["traceback"])
        assert "in step 'third'" in "".join(errors[1]["traceback"])
        assert kernel.run("last").result == "4"


def test_what_was_taken_over_is_not_offered_again(home: Home, notebook: dict[str, str], tmp_path: Path):
    cell = Cell(tmp_path)
    cell.gate.touch()
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run(cell.text)
        until(lambda: not home.client().untaken(notebook["JPY_SESSION_NAME"]), "the engine has heard of it")
    with kernel_at({**home.env, **notebook}, load=False) as kernel:
        assert kernel.run("%load_ext kernel_magics").stdout == ""
        kernel.run(cell.text)
        assert cell.times == 2


def test_an_edited_cell_runs_anew(home: Home, notebook: dict[str, str], tmp_path: Path):
    cell = Cell(tmp_path)
    begin_and_die(home, notebook, cell)
    cell.gate.touch()
    with kernel_at({**home.env, **notebook}) as kernel:
        assert kernel.run(cell.text.replace("[1, 2, 3]", "[4]")).result == "1"
        assert cell.times == 2


@contextmanager
def loaded_anew(kernel: Kernel) -> Iterator[Kernel]:
    """The same kernel as another page has it."""
    page = kernel.manager.client()
    page.session = Session(key=kernel.manager.session.key)
    page.start_channels()
    reloaded = Kernel.__new__(Kernel)
    reloaded.__dict__.update(kernel.__dict__ | {"client": page})
    try:
        yield reloaded
    finally:
        page.stop_channels()


def test_a_cell_executed_again_from_a_page_loaded_anew_runs_once(home: Home, notebook: dict[str, str], tmp_path: Path):
    cell = Cell(tmp_path)
    with kernel_at({**home.env, **notebook}) as kernel, loaded_anew(kernel) as reloaded:
        first = kernel.begin(cell.text)
        kernel.until_output(first, "one")
        again = reloaded.begin(cell.text)
        time.sleep(0.2)
        cell.gate.touch()
        ran = reloaded.finish(again)
        assert ran.error is None, ran.words
        assert ran.stdout == "one\ntwo\n"
        assert ran.result == "3"
        assert cell.times == 1
        # Whoever asks for it once more wants it anew.
        reloaded.run(cell.text)
        assert cell.times == 2


def test_a_page_loaded_anew_that_runs_the_notebook_runs_its_steps(home: Home, notebook: dict[str, str]):
    first, last = "%%step first\nw = n * 10", "%%step last\nu = w + n"
    with kernel_at({**home.env, **notebook}) as kernel, loaded_anew(kernel) as reloaded:
        for cell in ("n = 3", first, last):
            kernel.run(cell)
        for cell in ("n = 5", first, last):
            reloaded.run(cell)
        assert reloaded.run("w, u").result == "(50, 55)"


def test_a_step_of_an_earlier_kernel_with_other_values_runs_anew(home: Home, notebook: dict[str, str], tmp_path: Path):
    cell = Cell(tmp_path)
    cell.text += "\nmade.append(value)"
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run("value = 1")
        kernel.until_output(kernel.begin(cell.text), "one")
    cell.gate.touch()
    until(lambda: state_of(home, notebook) == "succeeded", "the step has ended")
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run("value = 7")
        assert "was given another value, and runs anew" in kernel.run(cell.text).stderr
        assert kernel.run("made").result == "[1, 2, 3, 7]"
        assert cell.times == 2


def test_an_async_cell_executed_again_goes_on_where_it_is_shown_last(
    home: Home, notebook: dict[str, str], tmp_path: Path
):
    cell = Cell(tmp_path, "--async")
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run(cell.text)
        until(cell.count.exists, "the step has begun")
        again = kernel.begin(cell.text)
        kernel.until_output(again, "one")
        cell.gate.touch()
        kernel.until_output(again, "two")
        assert kernel.run("%steps wait working\nsum(made)").result == "6"
        assert cell.times == 1


FAILING = {
    "out of memory": ("--memory 60MiB", "x = bytearray(90 << 20)\ntime.sleep(30)", "memory over"),
    "timeout": ("--timeout 300ms", "time.sleep(60)", "time.sleep(60)"),
    "a type that cannot travel": (
        "",
        "class Odd(Exception):\n    rows = (n for n in [1])\ntime.sleep(0.2)\nraise Odd('words')",
        "raise Odd",
    ),
}


@pytest.mark.parametrize("how", ["the cell again", "attach", "wait"])
@pytest.mark.parametrize("what", FAILING)
def test_a_failure_is_shown_as_it_would_have_been(
    home: Home, notebook: dict[str, str], tmp_path: Path, what: str, how: str
):
    options, source, shown = FAILING[what]
    text = f"%%step failing {options} --async\nimport time\n{source}"
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.run(text)
        if how == "wait":
            assert shown in kernel.fail("%steps wait failing").words
            return
    until(lambda: state_of(home, notebook) == "failed", "the step has ended")
    with kernel_at({**home.env, **notebook}) as kernel:
        failed = kernel.fail("%steps attach" if how == "attach" else text)
        assert shown in failed.words, failed.words
        if failed.error["ename"] == "Odd":  # at the top level of its cell, which this kernel has never seen
            assert "raise Odd('words')" in kernel.debug("p 1")


@pytest.mark.parametrize("now", [False, True], ids=["restarted", "killed"])
def test_a_step_that_asks_asks_the_next_kernel_again(home: Home, notebook: dict[str, str], now: bool):
    text = "%%step asks\nprint('before')\nname = input('Name? ')\nname * 2"
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.client.allow_stdin = True
        kernel.begin(text)
        assert kernel.client.get_stdin_msg(timeout=30)["content"]["prompt"] == "Name? "
        kernel.manager.shutdown_kernel(now=now)  # which, unless it is at once, begins with an interrupt
    time.sleep(0.5)
    assert state_of(home, notebook) == "running"
    with kernel_at({**home.env, **notebook}) as kernel:
        kernel.client.allow_stdin = True
        kernel.answer = lambda prompt: "Ada"
        ran = kernel.run(text)
        assert kernel.asked == [("Name? ", False)]
        assert (ran.stdout, ran.result) == ("before\n", "'AdaAda'")
