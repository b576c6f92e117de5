"""``%%step --map``: once per item, in the notebook."""

from __future__ import annotations

import re
from pathlib import Path

from tests.notebooks.kernels import Kernel


def test_each_name_is_a_list_afterwards_and_the_item_is_none_of_them(kernel: Kernel):
    kernel.run("parts = ['a', 'bb']\ndef size(x):\n    return len(x)")
    ran = kernel.run("%%step sizes --map part=parts\nn = size(part)\nprint(part)")
    assert ran.stdout == "--- item 0\na\n--- item 1\nbb\n"
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


FAILS = "print('item', p)\ndef inner(n):\n    twice = n * 2\n    return 1 / twice\nr = inner(p)"


def test_a_failed_item_is_told_as_a_failed_cell(kernel: Kernel):
    kernel.run("given = [1, 2, 0, 3]\np = 'mine'")
    ran = kernel.fail(f"%%step told --map p=given[:3]\n{FAILS}")
    below = "--- item 0\nitem 1\n--- item 1\nitem 2\n--- item 2 failed: ZeroDivisionError: division by zero\nitem 0\n"
    assert ran.stdout == below
    assert re.search(r"Cell In\[\d+\], line 6\n", ran.words)
    assert "/tmp" not in ran.words
    assert kernel.run("%steps logs told").stdout == below
    said = kernel.debug("p twice + 40", "up", "p p, given", "p r")
    assert "\n40\n" in said
    assert "(0, [1, 2, 0, 3])" in said
    assert "r = inner(p)" in said
    said = kernel.run("%steps reproduce told").stdout
    assert "given as it was given, and p is item 2, the first that failed, of given[:3]" in said
    assert kernel.run("p").result == "0"
    kernel.run("%%step went_well --map p=[7,8]\nq = p")
    assert "it was given no values, and p is the first of [7,8]" in kernel.run("%steps reproduce went_well").stdout
    assert kernel.run("p").result == "7"


def test_figures_of_items_are_shown(kernel: Kernel):
    ran = kernel.run(
        "%%step drawn --map p=[1,2]\nimport matplotlib.pyplot as plt\nplt.plot([p]); plt.show()\nplt.plot([p])"
    )
    assert sum("image/png" in each["data"] for each in ran.displays) == 4


def test_quotes_of_the_items_are_their_own(kernel: Kernel):
    kernel.run('%%step quoted --map p=["a","b"]\nup = p.upper()')
    assert kernel.run("up").result == "['A', 'B']"


def test_an_item_without_memory_names_its_own_objects(kernel: Kernel):
    kernel.run(
        "parts = [bytearray(3 << 20)]\ndef grow(held):\n    own = bytearray(2 << 20)\n    while True:\n"
        "        held.append(bytearray(1 << 20))\n        time.sleep(0.01)"
    )
    failed = kernel.fail(
        "%%step too_large_item --memory 100MiB --map p=range(2)\nimport time\nmuch = [len(parts)]\ngrow(much)"
    )
    assert failed.error["ename"] == "StepOutOfMemory"
    assert re.search(
        r"Its largest objects were much in item 0 \(\d\d.* MiB\), parts \(3 MiB\), own in grow\(\) of item 0 \(2 MiB\)",
        failed.words,
    )


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
