"""What goes wrong in a step is told in the notebook as if it had gone wrong there; what cannot be meant, before."""

from __future__ import annotations

import os

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home

# -- exceptions of the user's code


def test_the_users_own_exception_is_raised_with_its_type_and_words(kernel: Kernel):
    failed = kernel.fail("%%step dividing\nx = 1\nx / 0")
    assert (failed.error["ename"], failed.error["evalue"]) == ("ZeroDivisionError", "division by zero")


def test_the_traceback_shows_the_cells_own_numbers(kernel: Kernel):
    failed = kernel.fail("%%step numbered\nfirst = 1\nsecond = 2\nfirst / 0\nthird = 3")
    assert f"Cell In[{failed.number}], line 4" in failed.words
    assert "----> 4 first / 0" in failed.words


def test_the_traceback_is_coloured_as_any_other(kernel: Kernel):
    remote = kernel.fail("%%step coloured\ndef inner():\n    return [][1]\ninner()").traceback
    plain = kernel.fail("def inner():\n    return [][1]\ninner()").traceback
    for coloured in ("\x1b[31mIndexError\x1b[39m", "\x1b[38;5;28;01mreturn\x1b[39;00m", "\x1b[32m----> \x1b[39m"):
        assert coloured in remote
        assert coloured in plain


def test_it_shows_the_frames_of_the_users_functions_and_none_of_ours(kernel: Kernel):
    kernel.run("def outer_one(v):\n    return inner_one(v)\ndef inner_one(v):\n    raise LookupError(f'no {v}')")
    words = kernel.fail("%%step framed\nouter_one('thing')").words
    assert "in outer_one(v)" in words
    assert "in inner_one(v)" in words
    assert "LookupError: no thing" in words
    assert "cellyard/" not in words
    assert "kernel_magics/" not in words


def test_a_note_names_step_and_worker(kernel: Kernel):
    failed = kernel.fail("%%step noted\nraise ValueError('bad')")
    [note] = kernel.look("__import__('sys').last_value.__notes__")
    assert note.startswith("in step 'noted' on worker ")
    assert note in failed.words


def test_an_exception_class_of_the_notebook_is_that_class(kernel: Kernel):
    kernel.run(
        "class Refused(Exception):\n    def __init__(self, code, why):\n        super().__init__(f'{code}: {why}')\n"
        "        self.code, self.why = code, why\n"
        "def refuse():\n    raise Refused(7, 'closed')"
    )
    failed = kernel.fail("%%step custom\nrefuse()")
    assert (failed.error["ename"], failed.error["evalue"]) == ("Refused", "7: closed")
    found = kernel.run(
        "import sys\nisinstance(sys.last_value, Refused), sys.last_value.code, sys.last_value.why"
    ).result
    assert found == "(True, 7, 'closed')"


def test_an_exception_can_be_caught_around_the_magic(kernel: Kernel):
    kernel.run(
        "try:\n    get_ipython().run_cell_magic('step', 'caught', 'raise KeyError(5)')\n"
        "except KeyError as e:\n    got = e.args"
    )
    assert kernel.look("got") == (5,)


def test_an_exception_that_cannot_travel_keeps_name_and_words(kernel: Kernel):
    failed = kernel.fail(
        "%%step odd\nclass Odd(Exception):\n    def __reduce__(self):\n"
        "        raise TypeError('never')\nraise Odd('strange')"
    )
    assert failed.error["ename"] == "Odd"
    assert "strange" in failed.error["evalue"]


def test_a_cause_is_shown(kernel: Kernel):
    words = kernel.fail(
        "%%step chained\ntry:\n    1/0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('later') from e"
    ).words
    assert "ZeroDivisionError" in words
    assert "direct cause" in words
    assert "RuntimeError: later" in words


def test_a_group_of_exceptions_is_one(kernel: Kernel):
    """IPython prints groups, and sends no error message for them, in plain cells too."""
    ran = kernel.try_run("%%step several\nraise ExceptionGroup('many', [ValueError(1), KeyError(2)])")
    assert "ExceptionGroup: many (2 sub-exceptions)" in ran.stderr
    assert "in step 'several' on worker" in ran.stderr
    names = "[type(e).__name__ for e in __import__('sys').last_value.exceptions]"
    assert kernel.look(names) == ["ValueError", "KeyError"]


def test_a_syntaxerror_of_running_code_shows_where(kernel: Kernel):
    failed = kernel.fail("%%step inexec\nfirst = 1\nexec('a b')")
    assert failed.error["ename"] == "SyntaxError"
    assert "a b" in failed.words


def test_systemexit_ends_the_cell_and_not_the_kernel(kernel: Kernel):
    failed = kernel.fail("%%step leaving\nimport sys\nsys.exit(3)")
    assert failed.error["ename"] == "SystemExit"
    assert kernel.run("1 + 1").result == "2"


def test_a_step_whose_process_dies_says_how(kernel: Kernel):
    failed = kernel.fail(
        "%%step dying\nimport os, signal\nprint('last words', flush=True)\nos.kill(os.getpid(), signal.SIGSEGV)"
    )
    assert failed.stdout == "last words\n"
    assert failed.error["ename"] == "StepKilled"
    assert "SIGSEGV" in failed.error["evalue"]
    assert len(failed.error["traceback"]) == 1


def test_a_step_that_takes_too_much_memory_is_stopped_and_says_so(kernel: Kernel):
    failed = kernel.fail(
        "%%step greedy --memory 100MiB\nheap = []\nwhile True:\n    heap.append(bytearray(b'x' * 2_000_000))"
    )
    assert failed.error["ename"] == "StepOutOfMemory"
    assert "--memory 256MiB" in failed.error["evalue"] or "--memory 0.25GiB" in failed.error["evalue"]


def test_a_wanted_output_that_cannot_travel_fails_the_step(kernel: Kernel):
    failed = kernel.fail("%%step out --out stream\nstream = (i for i in [1])")
    assert failed.error["ename"] == "CannotTravel"


def test_a_name_that_is_only_deleted_need_not_travel(kernel: Kernel):
    kernel.run("import threading\ngate = threading.Lock()\ngate.acquire()")
    kernel.run("%%step\ndel gate")
    assert kernel.fail("gate").error["ename"] == "NameError"


def test_a_value_that_cannot_be_opened_costs_no_other(kernel: Kernel):
    kernel.run("class Odd:\n    def __reduce__(self): return int, ('no number',)")
    kernel.run("%%step\nfirst = 1\nodd = Odd()\nlast = [2]")
    assert kernel.look("[first, last]") == [1, [2]]
    for using in ("str(odd)", "%%step\nodd"):
        failed = kernel.fail(using)
        assert failed.error["ename"] == "CannotTravel"
        for part in ("'odd'", "Odd", "invalid literal for int()", "__reduce__"):
            assert part in failed.error["evalue"]
    kernel.run("%%step\nodd = last")
    assert kernel.look("odd") == [2]
    kernel.run("here = Odd()")
    assert kernel.fail("%%step\nhere").error["ename"] == "CannotTravel"
    kernel.run("del Odd, odd, here, first, last")


# -- what cannot be meant

USAGE = {
    "--cpus 2": ("InvalidStepLine", "Did you mean --cpu?"),
    "--memory 16000": ("InvalidSize", "16000MiB"),
    "--cpu two": ("InvalidSize", "Examples"),
    "--gpu -1": ("InvalidSize", "Examples"),
    "--timeout soon": ("InvalidSize", "Examples"),
    "two words": ("InvalidStepLine", "one name"),
    "9lives": ("InvalidStepLine", "no name for a step"),
    "--retries many": ("InvalidStepLine", "whole number"),
    "--env NOPE": ("InvalidStepLine", "KEY=VALUE"),
    "--in 1a": ("InvalidStepLine", "not a Python name"),
    "--cpu": ("InvalidStepLine", "needs a value"),
    "--memory {nothing_here}": ("InvalidStepLine", "nothing_here"),
    "'open": ("InvalidStepLine", "quotation mark"),
    "--memory 900GiB": ("DoesNotFit", "900"),
    "--gpu 4": ("DoesNotFit", "GPU"),
    "--on the-moon": ("InvalidSettings", "known are: in_process, kubernetes, local"),
}


@pytest.fixture
def runs(kernel: Kernel, home: Home):
    """How many runs there are in the records."""
    kernel.run("%%step counted\npass")
    return lambda: len(home.client().runs(limit=1000))


@pytest.mark.parametrize("line", USAGE)
def test_a_line_that_cannot_be_meant_is_refused_and_nothing_is_run(kernel: Kernel, runs, line: str):
    name, words = USAGE[line]
    before = runs()
    failed = kernel.fail(f"%%step {line}\nran_anyway = 1")
    assert failed.error["ename"] == name
    assert words in failed.error["evalue"]
    assert len(failed.error["traceback"]) == 1, "one sentence, and no frames of ours"
    assert kernel.look("'ran_anyway' in globals()") is False
    assert runs() == before


def test_a_cell_that_does_not_parse_is_refused(kernel: Kernel, runs):
    before = runs()
    failed = kernel.fail("%%step broken\nfine = 1\nnot fine =")
    assert failed.error["ename"] == "InvalidCell"
    assert "line 3" in failed.error["evalue"]
    assert "not fine =" in failed.error["evalue"]
    failed = kernel.fail("%%step broken\nif True:\nprint()")
    assert "line 3 of the cell does not parse" in failed.error["evalue"]
    assert "'if' statement on line 2" in failed.error["evalue"]
    assert runs() == before


def test_a_name_that_nobody_made_is_refused_with_the_nearest(kernel: Kernel, runs):
    kernel.run("customers = [1]")
    before = runs()
    caught = "try:\n    get_ipython().run_cell_magic('step', '', 'custmers')\nexcept NameError as e:\n    n = e.name\nn"
    assert kernel.run(caught).result == "'custmers'"
    failed = kernel.fail("%%step\nx = 1\nlen(custmers)")
    assert failed.error["ename"] == "UnknownName"
    assert "'customers'" in failed.error["evalue"]
    assert "line 3" in failed.error["evalue"]
    assert runs() == before


def test_a_function_that_reads_a_deleted_name_fails_where_it_does(kernel: Kernel):
    kernel.run("%%step\nbase = 1\ndef above(): return base + 1")
    kernel.run("%%step\ndel base")
    failed = kernel.fail("%%step\nprint('before')\nabove()")
    assert failed.error["ename"] == "NameError"
    assert failed.stdout == "before\n"
    assert kernel.run("base = 2\nabove()").result == "3"


@pytest.mark.parametrize(
    ("making", "kind", "reason"),
    [
        ("import tempfile\nval = tempfile.TemporaryFile('w')", "TextIOWrapper", "open file"),
        ("val = (i for i in [1])", "generator", "generator"),
        ("import threading\nval = threading.Lock()\nval.acquire()", "lock", "locks"),
        ("val = {'deep': [1, (i for i in [1])]}", "dict", "val['deep'][1]"),
        ("import sqlite3\nval = sqlite3.connect(':memory:')", "sqlite3.Connection", "connection"),
    ],
)
def test_a_value_that_cannot_travel_is_named_with_type_and_reason(
    kernel: Kernel, runs, making: str, kind: str, reason: str
):
    kernel.run(making)
    before = runs()
    failed = kernel.fail("%%step\nstr(val)")
    assert failed.error["ename"] == "CannotTravel"
    for part in ("'val'", kind, reason):
        assert part in failed.error["evalue"]
    assert runs() == before
    kernel.run("del val")


def test_a_name_of_in_that_does_not_exist_is_refused(kernel: Kernel, runs):
    before = runs()
    failed = kernel.fail("%%step --in not_there\n1")
    assert failed.error["ename"] == "UnknownName"
    assert runs() == before


def test_more_processors_than_there_are_are_capped_with_a_note(kernel: Kernel):
    ran = kernel.run(f"%%step capped --cpu {(os.cpu_count() or 1) + 100}\n'ran'")
    assert ran.result == "'ran'"
    assert "note" in ran.stderr


def test_two_steps_of_one_name_at_once_are_refused(kernel: Kernel, home: Home, notebook: str):
    """From a second kernel of the same notebook and session, as a front end that was reconnected may have it."""
    session = kernel.look("get_ipython()._cellyard_session.identity.session")
    with kernel_at({**home.env, "JPY_SESSION_NAME": notebook}) as other:
        other.run(
            "from dataclasses import replace\ns = get_ipython()._cellyard_session\n"
            f"s.identity = replace(s.identity, session={session!r})"
        )
        id = kernel.begin("%%step twice\nprint('going', flush=True)\nimport time\ntime.sleep(30)")
        kernel.until_output(id, "going")
        failed = other.fail("%%step twice\n1")
        kernel.interrupt()
        kernel.finish(id)
        assert failed.error["ename"] == "StepAlreadyRunning"
        assert "'twice'" in failed.error["evalue"]
        assert other.run("%%step twice\n1").result == "1"


def test_two_steps_of_one_name_from_two_threads_are_refused(kernel: Kernel):
    kernel.run(
        "import threading, time\ntold = []\n"
        "def one(name):\n    try:\n        get_ipython().run_cell_magic('step', name, 'import time; time.sleep(1)')\n"
        "        told.append('ran')\n    except Exception as e:\n        told.append(type(e).__name__)\n"
        "threads = [threading.Thread(target=one, args=('same',)) for _ in range(2)]\n"
        "for t in threads: t.start()\nfor t in threads: t.join()"
    )
    assert sorted(kernel.look("told")) == ["StepAlreadyRunning", "ran"]
