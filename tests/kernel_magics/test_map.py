"""``%%step --map``: once per item, in the notebook."""

from __future__ import annotations

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
