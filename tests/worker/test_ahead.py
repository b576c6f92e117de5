"""A child that waits takes on the state of the step before; the step that comes has its own all the same."""

from __future__ import annotations

import base64
import os
import pickle
from typing import Any

import pytest

from cellyard.worker import process_state
from cellyard.worker.ahead import PLAIN, plain_of, seal, unseal
from tests.worker.running import Stepper

pytestmark = pytest.mark.asyncio(loop_scope="module")
SOURCE = "import os, sys, decimal\nfound = os.environ.get('AHEAD'), decimal.getcontext().prec, sys.getrecursionlimit()"


def state(**change: Any) -> dict[str, Any]:
    """This process's own state, with a variable and a precision of a notebook."""
    found = process_state.portable(process_state.capture(PLAIN))
    found["environment"] = {**os.environ, **change.pop("environment", {})}
    found["decimal"] = {**found["decimal"], **change.pop("decimal", {})}
    return {**found, **change}


@pytest.mark.parametrize("times", [1, 3])
async def test_a_step_with_other_state_than_the_one_before_has_its_own(steps: Stepper, times: int) -> None:
    one = state(environment={"AHEAD": "one"}, decimal={"prec": 11}, recursion=1234)
    for _ in range(times):
        ran = await steps.run(SOURCE, private={"state": one})
        assert steps.values(ran)["found"] == ("one", 11, 1234)
    two = state(environment={"AHEAD": "two"}, decimal={"prec": 22})
    ran = await steps.run(SOURCE, private={"state": two})
    assert steps.values(ran)["found"][:2] == ("two", 22)


async def test_nothing_of_the_step_before_is_left_for_one_that_says_nothing(steps: Stepper) -> None:
    before = steps.values(await steps.run(SOURCE))["found"]
    for _ in range(3):
        await steps.run(SOURCE, private={"state": state(environment={"AHEAD": "one"}, recursion=1234)})
    assert steps.values(await steps.run(SOURCE))["found"] == before


async def test_what_a_step_changes_of_a_state_that_was_prepared_is_told(steps: Stepper) -> None:
    private = {"state": state(environment={"AHEAD": "one"})}
    for _ in range(3):
        ran = await steps.run("import os\nseen = os.environ['AHEAD']", private=private)
        assert unchanged(ran.finished["private"])
    ran = await steps.run("import os\nos.environ['AHEAD'] = 'changed'", private=private)
    assert not unchanged(ran.finished["private"])


def unchanged(private: str) -> bool:
    """Whether a step has changed nothing of the plain state."""
    return not set(pickle.loads(base64.b64decode(private))) & set(PLAIN)


async def test_what_is_sealed_is_found_again_and_the_plain_part_by_itself() -> None:
    sealed = seal({"pure": ("x",)}, {"folder": "/", "random": (1, 2)})
    plain, rest = unseal(sealed)
    assert plain == plain_of(sealed)
    assert rest == {"pure": ("x",), "state": {"random": (1, 2)}}
    assert unseal("") == (b"", {})


async def test_one_section_that_does_not_pickle_takes_no_other_along() -> None:
    plain, rest = unseal(seal({}, {"folder": "/", "warnings": [lambda: 0]}))
    assert (plain, rest) == (b"", {"state": {"folder": "/"}})
