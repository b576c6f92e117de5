"""``%%step --cache``: the result of an earlier run, where nothing that matters has changed."""

from __future__ import annotations

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home

TAKEN = "its result is taken"


def pids(home: Home, name: str) -> list[object]:
    """The processes of the steps of that name, the newest first; None for one that touched no worker."""
    client = home.client()
    return [step["pid"] for run in client.runs(limit=50) for step in client.steps(run["id"]) if step["name"] == name]


def test_a_hit_has_the_values_and_output_and_touches_no_worker(kernel: Kernel, home: Home):
    kernel.run("factor = 3\ndef scale(x):\n    return x * factor")
    first = kernel.run("%%step hit --cache\nprint('working')\nbig = list(range(100_000))\nresult = scale(2)\nresult")
    again = kernel.run(
        "%%step hit --cache\n# other words\nprint( 'working' )\nbig = list(range(100_000))\nresult = scale(2)\nresult"
    )
    assert TAKEN not in first.stderr
    assert TAKEN in again.stderr
    assert (again.stdout, again.result) == ("working\n", "6")
    assert kernel.run("result, len(big)").result == "(6, 100000)"
    assert pids(home, "hit")[0] is None
    assert pids(home, "hit")[1] is not None


@pytest.mark.parametrize(
    ("before", "change", "taken"),
    [
        ("n1 = 1", "n1 = 2", False),
        ("def n1():\n    return 1", "def n1():\n    # the same\n    return  1", True),
        ("def n1():\n    return 1", "def n1():\n    return 2", False),
        ("n2 = 1\ndef n1():\n    return n2", "n2 = 2", False),
        ("n1 = {1: [2]}", "n1[1].append(3)", False),
        ("n1 = {1: [2]}", "other = 3", True),
        ("import numpy; n1 = numpy.arange(9)", "n1[3] = 5", False),
    ],
)
def test_what_it_depends_on_decides(kernel: Kernel, before: str, change: str, taken: bool):
    cell = "%%step depends --cache\nmade = repr(n1() if callable(n1) else n1)"
    kernel.run(f"{before}\nmark = {before + change!r}")
    kernel.run(cell + "\nmark")
    kernel.run(change)
    assert (TAKEN in kernel.run(cell + "\nmark").stderr) is taken


def test_a_file_and_a_failure_are_not_forgotten(kernel: Kernel, tmp_path):
    file = tmp_path / "data.txt"
    file.write_text("1")
    cell = f"%%step reads --cache --file {file}\nseen = open({str(file)!r}).read()\nseen"
    assert kernel.run(cell).result == "'1'"
    assert TAKEN in kernel.run(cell).stderr
    file.write_text("2")
    assert kernel.run(cell).result == "'2'"
    kernel.fail("%%step fails --cache\n1 / 0")
    assert TAKEN not in kernel.fail("%%step fails --cache\n1 / 0").stderr


def test_an_input_made_again_alike_in_another_kernel_is_the_same(home: Home):
    make = "import types\nwords = types.SimpleNamespace(seen=set('abcdefgh'), by=[{'x', 'y', 'z'}])"
    first = "%%step seeds --cache\nmade = {word * 2 for word in words.seen}\nlen(made)"
    second = "%%step follows --cache\nlast = sorted(made | words.by[0])\nlast[0]"
    env = {**home.env, "JPY_SESSION_NAME": "/tmp/first.ipynb", "PYTHONHASHSEED": "1"}
    again = {**home.env, "JPY_SESSION_NAME": "/tmp/again.ipynb", "PYTHONHASHSEED": "4711"}
    with kernel_at(env) as one, kernel_at(again) as other:
        for kernel in (one, other):
            kernel.run(make)
        assert one.look("list(words.seen)") != other.look("list(words.seen)")
        assert [TAKEN in one.run(cell).stderr for cell in (first, second)] == [False, False]
        assert [TAKEN in other.run(cell).stderr for cell in (first, second)] == [True, True]


def test_two_kernels_at_once_compute_it_once(kernel: Kernel, home: Home):
    cell = "%%step twin --cache\nimport time\ntime.sleep(1.5)\ntwin = 7"
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/other.ipynb"}) as other:
        both = [(each, each.begin(cell)) for each in (kernel, other)]
        found = [each.finish(id).stderr for each, id in both]
        assert sorted(TAKEN in each for each in found) == [False, True]
        assert other.run("twin").result == kernel.run("twin").result == "7"


def test_what_functions_change_in_a_local_module_decides_for_who_uses_it(kernel: Kernel, tmp_path):
    text = "LIMIT = 1\ndef set_limit(value):\n    global LIMIT\n    LIMIT = value\n"
    (tmp_path / "limits_beside.py").write_text(text, encoding="utf-8")
    kernel.run(f"import sys\nsys.path.insert(0, {str(tmp_path)!r})\nimport limits_beside")
    used, unused = "%%step --cache\nlimits_beside.LIMIT + 100", "%%step --cache\nlen('no module')"
    assert (kernel.run(used).result, kernel.run(unused).result) == ("101", "9")
    assert TAKEN in kernel.run(used).stderr
    kernel.run("limits_beside.set_limit(5)")
    assert TAKEN in kernel.run(unused).stderr
    assert kernel.run(used).result == "105"
