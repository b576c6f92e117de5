"""What functions and classes of the notebook hold beside their code is changed where they are changed."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home


def test_what_a_step_changes_in_a_class_is_changed_in_the_notebooks_class(kernel: Kernel):
    kernel.run(
        "class Tally:\n    made = []\n    count = 0\n    gone = 1\n    def __init__(self):\n"
        "        Tally.count += 1\n        self.made.append(self)\n"
        "first = Tally()\nthe_class = Tally"
    )
    kernel.run("%%step\nsecond = Tally()\nTally.extra = {'k': 1}\ndel Tally.gone\nTally.say = lambda self: 'said'")
    found = kernel.run(
        "Tally.count, len(Tally.made), Tally.made[1] is second, Tally.extra, hasattr(Tally, 'gone')"
    ).result
    assert found == "(2, 2, True, {'k': 1}, False)"
    assert kernel.run("Tally is the_class, type(second) is Tally, first.say()").result == "(True, True, 'said')"
    assert kernel.run("%%step\nTally().count").result == "3"


def test_what_a_step_changes_in_a_function_is_changed_in_the_notebooks_function(kernel: Kernel):
    kernel.run(
        "def counting(x, seen=[]):\n    seen.append(x)\n"
        "    counting.calls = getattr(counting, 'calls', 0) + 1\n    return len(seen)"
    )
    kernel.run("counting('a')\nsame = counting")
    assert kernel.run("%%step\ncounting('b')").result == "2"
    assert kernel.run("counting('c'), counting.calls, counting is same").result == "(3, 3, True)"


def test_such_changes_are_no_outputs_of_the_step(kernel: Kernel, home: Home):
    kernel.run("class Quiet:\n    n = 0")
    kernel.run("%%step quiet\nQuiet.n = 5\nloud = 1")
    assert kernel.look("Quiet.n") == 5
    line = next(each for each in kernel.run("%steps").result.splitlines() if each.startswith("quiet"))
    assert line.split()[-2] == "loud"


def test_what_a_class_shares_with_a_name_is_shared_after_a_step_that_shows_it(kernel: Kernel):
    kernel.run("class Sharing:\n    held = []\nsharing_it = Sharing.held")
    kernel.run("%%step\nsharing_it")
    kernel.run("%%step\nsharing_in = [sharing_it]")
    assert kernel.run("sharing_it is Sharing.held, sharing_in[0] is sharing_it").result == "(True, True)"


BESIDE = """
import sqlite3
CONFIG, LIMIT, calls = {}, 1, []
connection = None
def configure(**given):
    CONFIG.update(given)
def set_limit(value):
    global LIMIT
    LIMIT = value
def above(x):
    calls.append(x)
    return x > LIMIT
def connect():
    global connection
    connection = sqlite3.connect(":memory:")
"""


def test_what_functions_of_a_local_module_change_there_is_so_in_steps_and_after_them(kernel: Kernel, tmp_path: Path):
    (tmp_path / "changing_beside.py").write_text(BESIDE, encoding="utf-8")
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport changing_beside as beside")
    kernel.run("from changing_beside import CONFIG\nbeside.set_limit(5); beside.configure(a=1); beside.connect()")
    found = kernel.run("%%step\nbeside.above(3), beside.CONFIG, CONFIG is beside.CONFIG, beside.connection").result
    assert found == "(False, {'a': 1}, True, None)"
    kernel.run("%%step\nbeside.set_limit(2); beside.configure(b=2)\nbeside.CONFIG['by hand'] = 3\nbeside.connect()")
    found = kernel.run(
        "beside.above(3), CONFIG, CONFIG is beside.CONFIG, beside.calls, beside.connection is None"
    ).result
    assert found == "(True, {'a': 1, 'b': 2, 'by hand': 3}, True, [3, 3], False)"
    assert (
        kernel.run("%%step\nbeside.above(1), CONFIG is beside.CONFIG, beside.calls").result
        == "(False, True, [3, 3, 1])"
    )


def test_what_a_local_module_has_is_left_alone_where_a_step_has_not_changed_it(kernel: Kernel, tmp_path: Path):
    (tmp_path / "kept_beside.py").write_text("table = {}\ndef put(x): table[x] = x\n", encoding="utf-8")
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport kept_beside\nkept_beside.put(1)")
    before = kernel.run("id(kept_beside.table)").result
    kernel.run("%%step\nlen(kept_beside.table)")
    assert kernel.run("id(kept_beside.table)").result == before
