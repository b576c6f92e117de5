"""``%%step --map``: once per item, in the notebook."""

from __future__ import annotations

from pathlib import Path

from tests.notebooks.kernels import Kernel


def test_each_name_is_a_list_afterwards_and_the_item_is_none_of_them(kernel: Kernel):
    kernel.run("parts = ['a', 'bb']\ndef size(x):\n    return len(x)")
    ran = kernel.run("%%step sizes --map part=parts\nn = size(part)\nprint(part)")
    assert ran.stdout == "a\nbb\n"
    assert "2 of 2 done" in ran.displays[0]["data"]["text/plain"] or "2 of 2 done" in str(ran.outputs)
    assert kernel.run("n, 'part' in globals()").result == "([1, 2], False)"


def test_a_name_that_is_not_there_is_told_with_its_line(kernel: Kernel):
    assert "line 2" in kernel.fail("%%step lacking --map part=[1]\nm = part + lacking_name").words
    assert "line 1" in kernel.fail("%%step lacking --map part=lacking_parts\nm = part").words


def test_a_failed_item_raises_here(kernel: Kernel):
    ran = kernel.fail("%%step failing --map part=[1,0]\nm = 1 / part")
    assert ran.error is not None
    assert ran.error["ename"] == "ZeroDivisionError"
    assert "in item 1 of 2" in ran.words


def test_the_cell_again_runs_the_failed_items_alone(kernel: Kernel, tmp_path: Path):
    source = f"from pathlib import Path\nhere = Path({str(tmp_path)!r})\nwith (here / 'log').open('a') as log:\n"
    source += "    print(n, file=log)\nassert n != 2 or (here / 'well').exists()\ndone = n * 10"
    cell = f"%%step some --cache --isolate --map n=range(4)\n{source}"
    assert "2 were done and need not run again" in kernel.fail(cell).words
    (tmp_path / "well").touch()
    kernel.run(cell)
    assert (tmp_path / "log").read_text().split() == ["0", "1", "2", "2", "3"]
    assert kernel.run("done").result == "[0, 10, 20, 30]"
    kernel.run(cell.replace("* 10", "* 11"))
    assert len((tmp_path / "log").read_text().split()) == 9, "other code makes other values"
