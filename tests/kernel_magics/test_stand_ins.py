"""Large values stay in the store until they are used, and nobody notices."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home


def is_stand_in(kernel: Kernel, name: str) -> bool:
    """Whether the name is bound to a stand-in now. Looking fetches nothing."""
    return bool(kernel.look(f"type(globals()[{name!r}]).__name__ == 'StandIn'"))


@pytest.fixture
def big(kernel: Kernel) -> str:
    """A name bound to a stand-in of a list of 100,000 numbers."""
    kernel.run("%%step\nbig = list(range(100_000))")
    assert is_stand_in(kernel, "big")
    return "big"


def test_showing_it_says_what_it_is_and_fetches_nothing(kernel: Kernel, big: str):
    assert kernel.look("repr(globals()['big'])").startswith("<big: list, 100,000 items, ")
    assert "[0, 1, 2, 3, ...]" in kernel.look("repr(globals()['big'])")
    assert is_stand_in(kernel, big)
    html = kernel.look("globals()['big']._repr_html_()")
    assert "100,000 items" in html
    assert "<script" not in html
    assert is_stand_in(kernel, big)


def test_a_frame_that_is_not_fetched_shows_its_first_rows_as_html(kernel: Kernel):
    kernel.run("%%step\nimport pandas as pd\nframe = pd.DataFrame({'n': range(50_000)})")
    assert is_stand_in(kernel, "frame")
    html = kernel.look("globals()['frame']._repr_html_()")
    assert "50,000 rows × 1 columns" in html
    assert "<table" in html
    assert is_stand_in(kernel, "frame")


def test_the_result_of_a_step_is_shown_though_its_value_stays_in_the_store(kernel: Kernel):
    ran = kernel.run("%%step\nimport numpy as np\nlarge = np.ones(50_000)\nlarge")
    assert ran.result.startswith("array([1., 1., 1.")
    assert is_stand_in(kernel, "large")
    assert kernel.run("float(_.sum())").result == "50000.0"


@pytest.mark.parametrize(
    "cell",
    [
        "sum(big)",
        "def through():\n    return sum(big)\nthrough()",
        "f'{sum(big)}' and sum(big)",
        "%time sum(big)",
        "eval('sum(b' + 'ig)')",
        "sum(globals()['b' + 'ig'])",
        "sum(x for x in globals()['b' + 'ig'])",
        "(lambda: sum(big))()",
        "total = 0\nfor n in globals()['b' + 'ig']:\n    total += n\ntotal",
    ],
)
def test_a_plain_cell_that_uses_it_has_the_value(kernel: Kernel, big: str, cell: str):
    assert kernel.run(cell).result == "4999950000"
    assert not is_stand_in(kernel, big)
    assert kernel.look("type(big) is list") is True


def test_a_shell_line_gets_the_value(kernel: Kernel, big: str):
    assert "4999950000" in kernel.run("!echo {sum(big)}").stdout


def test_a_callback_that_was_registered_before_gets_the_value(kernel: Kernel):
    kernel.run(
        "found = []\ndef later(info=None):\n"
        "    if 'late' in globals() and not found:\n        found.append(sum(late))\n"
        "get_ipython().events.register('post_run_cell', later)"
    )
    kernel.run("%%step\nlate = list(range(100_000))")
    kernel.run("pass")
    kernel.run("get_ipython().events.unregister('post_run_cell', later)")
    assert kernel.look("found") == [4999950000]


def test_a_stand_in_kept_aside_is_the_value_once_it_is_fetched(kernel: Kernel, big: str):
    kernel.run("aside = [globals()['b' + 'ig']]")
    assert is_stand_in(kernel, big)
    assert kernel.run("big[5] = 'five'\naside[0][5], len(repr(aside[0])) > 100_000").result == "('five', True)"


def test_dictionaries_and_functions_and_classes_behave_before_they_are_fetched(kernel: Kernel):
    kernel.run(
        "%%step\ntable = {f'key {n}': n for n in range(20_000)}\nclass Heavy:\n"
        "    load = list(range(60_000))\n    def __call__(self):\n        return 'called'\n"
        "heavy = Heavy()\nheavy.own = list(range(60_000))"
    )
    assert is_stand_in(kernel, "table")
    assert kernel.look("[next(iter(globals()['table'])), callable(globals()['table'])]") == ["key 0", False]
    assert is_stand_in(kernel, "heavy")
    assert kernel.look("globals()['heavy']()") == "called"


def test_functions_of_a_step_are_never_stand_ins(kernel: Kernel):
    kernel.run("%%step\nheld = list(range(100_000))\ndef reads_held():\n    return len(held)")
    assert kernel.look("type(globals()['reads_held']).__name__") == "function"
    assert kernel.run("reads_held()").result == "100000"


def mapped_objects(pid: int) -> set[str]:
    """The store's objects that a process has mapped."""
    lines = Path(f"/proc/{pid}/maps").read_text(encoding="utf-8").splitlines()
    return {line.rpartition("/objects/")[2] for line in lines if "/store/objects/" in line}


def test_the_next_step_gets_it_and_the_kernel_never_loads_it(kernel: Kernel):
    before = mapped_objects(kernel.pid)
    kernel.run("%%step\nimport numpy as np\nmatrix = np.arange(500_000.0)")
    assert is_stand_in(kernel, "matrix")
    kernel.run("%%step\ntotal_of_matrix = float(matrix.sum())")
    assert is_stand_in(kernel, "matrix")
    assert kernel.look("globals()['matrix']._self_group.is_fetched") is False
    assert kernel.look("total_of_matrix") == 500_000 * 499_999 / 2
    assert mapped_objects(kernel.pid) <= before
    assert kernel.run("float(matrix[-1])").result == "499999.0"
    assert mapped_objects(kernel.pid) > before, "a fetch would have been seen"


def test_a_step_that_changes_it_leaves_a_stand_in_of_the_changed_one(kernel: Kernel, big: str):
    kernel.run("%%step\nbig.append('end')")
    assert is_stand_in(kernel, big)
    assert kernel.run("len(big), big[-1]").result == "(100001, 'end')"


def test_an_alias_made_before_the_fetch_is_the_same_object(kernel: Kernel, big: str):
    kernel.run("%%step\nother = big")
    assert kernel.run("other is big, len(other)").result == "(True, 100000)"


def test_deleting_it_does_not_load_it(kernel: Kernel, big: str):
    kernel.run("del globals()['b' + 'ig']")
    assert kernel.look("'big' in globals()") is False


def test_a_failed_fetch_raises_when_it_is_used_and_not_before(kernel: Kernel, home: Home):
    kernel.run("%%step\nlost = [*range(200_000), 'lost']")
    reference = kernel.look("globals()['lost']._self_group.reference.id")
    objects = home.folder / "store" / "objects"
    (objects / reference[:2] / reference[2:]).unlink()
    ran = kernel.fail("print('before')\nlen(lost)")
    assert ran.stdout == "before\n"
    assert ran.error["ename"] == "ArtifactMissing"
    assert kernel.fail("%%step\nlen(lost)").error["ename"] == "ArtifactMissing"
    assert kernel.run("lost = [1]\nlen(lost)").result == "1"


def test_it_pickles_and_copies_as_the_value(kernel: Kernel, big: str):
    code = "type(__import__('pickle').loads(__import__('pickle').dumps(globals()['big']))).__name__"
    assert kernel.look(code) == "list"
    kernel.run("%%step\nbig = list(range(100_000))")
    assert kernel.look("type(__import__('copy').deepcopy(globals()['big'])).__name__") == "list"


#: Garbage is collected before anything of a step's outputs is loaded.
EAGER = """
import gc, kernel_magics.namespace as _module
_values = _module.Namespace.values
def _after_collecting(self, output):
    gc.collect()
    return _values(self, output)
_module.Namespace.values = _after_collecting
"""


@pytest.mark.parametrize("held", ["a = [1]", "a = list(range(100_000))"], ids=["small", "large"])
def test_a_class_that_came_beside_a_value_is_the_one_that_its_own_name_gets(kernel: Kernel, held: str):
    kernel.run(EAGER)
    try:
        kernel.run(held)
        kernel.run("%%step\nclass Holding:\n    shared = a")
        assert kernel.run("import gc\ngc.collect()\nHolding.shared is a").result == "True"
    finally:
        kernel.run("_module.Namespace.values = _values")


def test_a_value_that_is_gone_says_which_cell_makes_it_again(kernel: Kernel, home: Home):
    kernel.run("%%step\nwill_go = list(range(100_001))")
    kernel.run("%%step made_gone\nwill_miss = list(range(100_002))")
    store = home.folder / "store" / "objects"
    for name in ("will_go", "will_miss"):
        id = kernel.look(f"globals()[{name!r}]._self_group.reference.id")
        [there] = [each for each in store.rglob("*") if each.name.endswith(id[2:])]
        there.unlink()
    failed = kernel.fail("sum(will_miss)")
    assert failed.error["ename"] == "ArtifactMissing"
    for words in ("'will_miss'", "step 'made_gone' made in run ", "Execute the cell that made it again"):
        assert words in failed.error["evalue"]
    assert "kernel_magics" not in failed.words
    assert "the value of 'will_go' is gone" in kernel.fail("%%step\nsum(will_go)").error["evalue"]


def test_a_value_whose_repr_takes_long_holds_up_no_step(kernel: Kernel):
    kernel.run("import time\nclass Slow:\n    def __repr__(self):\n        time.sleep(20)\n        return 'never'")
    ran = kernel.run("%%step\nslow = [Slow()]")
    kernel.run("slow.append(1)")
    again = kernel.run("%%step\nlen(slow)")
    assert (again.result, ran.seconds < 10, again.seconds < 10) == ("2", True, True)
    kernel.run("del slow, Slow")
