"""The one table of state changes."""

from __future__ import annotations

import itertools

import pytest

from cellyard.errors import IllegalState
from cellyard.model import TERMINAL, RunState, StepState, check_move, is_terminal
from cellyard.model.states import MOVES

LEGAL_STEP = [
    ("", "queued"),
    *[("queued", each) for each in ("running", "failed", "cancelled", "lost")],
    *[("running", each) for each in ("succeeded", "failed", "cancelled", "lost", "queued")],
]
LEGAL_RUN = [
    ("", "queued"),
    ("", "running"),
    *[("queued", each) for each in ("running", "failed", "cancelled", "lost")],
    *[("running", each) for each in ("succeeded", "failed", "cancelled", "lost")],
]


@pytest.mark.parametrize(("kind", "legal"), [(StepState, LEGAL_STEP), (RunState, LEGAL_RUN)])
def test_the_legal_changes_are_these_and_no_others(kind, legal):
    for old, new in itertools.product(["", *kind], kind):
        history = [old] if old else []
        if (str(old), str(new)) in legal:
            check_move(history, new)
        else:
            with pytest.raises(IllegalState):
                check_move(history, new)


def test_an_illegal_change_tells_the_history():
    history = [StepState.QUEUED, StepState.RUNNING, StepState.SUCCEEDED]
    with pytest.raises(IllegalState, match="queued -> running -> succeeded -> running") as caught:
        check_move(history, StepState.RUNNING, what="step 'train' of run 3")
    assert str(caught.value).startswith("step 'train' of run 3: ")


@pytest.mark.parametrize("kind", [StepState, RunState])
def test_nothing_leaves_a_terminal_state(kind):
    assert {state for state in kind if is_terminal(state)} == set(TERMINAL)
    assert not any(MOVES[kind].get(state) for state in TERMINAL)
