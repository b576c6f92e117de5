"""A cell that fails is told with its own error, whatever cannot be stored beside it."""

from __future__ import annotations

import pytest

from tests.worker.running import Stepper

pytestmark = pytest.mark.asyncio(loop_scope="module")

JOB = "import threading\nclass Job:\n    lock = threading.Lock()\n    lock.acquire()\n"


async def test_variables_whose_class_cannot_travel_cost_nothing_but_themselves(steps: Stepper) -> None:
    ran = await steps.run(f"{JOB}kept = 1\ndef work(job, number):\n    1 / 0\nwork(Job(), [2])")
    error = ran.finished["error"]
    assert error["type"] == "ZeroDivisionError", error
    assert any("ZeroDivisionError" in line for line in error["traceback"])
    [kept] = [each for each in ran.finished["outputs"] if each["names"] == ["kept"]]
    assert steps.loaded(kept) == {"kept": 1}
    assert [frame["name"] for frame in error["frames"]["frames"]] == ["<module>", "work"]
    [_, names] = steps.loaded(error["frames"]["reference"])["frames"]
    assert names["number"] == [2]
    assert "could not travel" in repr(names["job"])


@pytest.mark.parametrize("options", ["--out held", "--out held --catch problem"])
async def test_a_wanted_name_that_cannot_travel_does_not_take_the_place_of_the_cells_own_error(
    steps: Stepper, options: str
) -> None:
    ran = await steps.run("import threading\nheld = threading.Lock()\nheld.acquire()\n1 / 0", line=options)
    error = ran.finished["error"]
    assert error["type"] == "ZeroDivisionError", error
    [held] = [each for each in ran.finished["outputs"] if each["names"] == ["held"]]
    assert "lock" in str(held["unavailable"])
