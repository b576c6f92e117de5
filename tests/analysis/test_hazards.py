"""What cannot work in a step."""

from __future__ import annotations

import pytest

from cellyard.analysis import hazards

FOUND = [
    ("x = input('?')", [(1, "input")]),
    ("import getpass\ngetpass.getpass()", [(2, "input")]),
    ("from getpass import getpass\ngetpass()", [(2, "input")]),
    ("breakpoint()", [(1, "debugger")]),
    ("import pdb; pdb.set_trace()", [(1, "debugger")]),
    ("%debug", [(1, "debugger")]),
    ("x = 1\n%matplotlib widget", [(2, "figures")]),
    ("%matplotlib notebook", [(1, "figures")]),
    ("%matplotlib qt5", [(1, "figures")]),
    ("%gui qt", [(1, "figures")]),
    ("get_ipython().kernel.comm_manager", [(1, "kernel")]),
    ("from ipykernel.comm import Comm\nComm('x')", [(2, "kernel")]),
    ("import ipywidgets as w\nw.interact(f)", [(2, "widgets")]),
    ("from ipywidgets import interact\n@interact\ndef f(x): pass", [(2, "widgets")]),
    ("from ipywidgets import interact\n@interact(x=1)\ndef f(x): pass", [(2, "widgets")]),
    ("import os\nos._exit(1)", [(2, "exit")]),
    ("from os import _exit as e\ne(1)", [(2, "exit")]),
    ("quit()", [(1, "exit")]),
    ("import signal\nsignal.signal(1, f)", [(2, "signals")]),
    ("input()\nbreakpoint()", [(1, "input"), (2, "debugger")]),
]
NONE = [
    "x = 1",
    "%matplotlib inline",
    "%matplotlib agg",
    "!ls",
    "'input()'",
    "# input()",
    "x.input()",
    "def input(x): return x\ninput(1)",
    "input = f\ninput()",
    "signal.correlate(a, b)",
    "from scipy import signal\nsignal.spectrogram(x)",
    "os.exit_code",
    "display(x)",
    "interact(x)",
    "x = (",
    "",
]


@pytest.mark.parametrize(("source", "expected"), FOUND)
def test_a_hazard_is_told_with_line_kind_and_reason(source, expected):
    found = hazards(source)
    assert [(one.line, one.kind) for one in found] == expected
    assert all(one.reason for one in found)


@pytest.mark.parametrize("source", NONE)
def test_what_works_in_a_step_is_not_a_hazard(source):
    assert hazards(source) == ()


def test_magics_are_seen_in_a_cell_that_does_not_parse():
    assert [one.kind for one in hazards("x = (\n%matplotlib widget\n")] == ["figures"]
