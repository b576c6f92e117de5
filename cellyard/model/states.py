"""The states of runs and steps, and the one table of legal changes between them. Pure.

A step (and each of its attempts) and a run share the names; a run is never taken back, a step goes
from ``running`` to ``queued`` once for every retry.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum

from cellyard.errors import IllegalState

__all__ = ["MOVES", "TERMINAL", "RunState", "StepState", "check_move", "in_words", "is_legal", "is_terminal"]


class RunState(StrEnum):
    """What a run is doing, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


class StepState(StrEnum):
    """What a step, or one attempt at it, is doing, or how it ended."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    LOST = "lost"


TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "cancelled", "lost"})
"""The states that nothing leaves. Members of both enums compare equal to these strings."""

MOVES: Mapping[type[RunState | StepState], Mapping[str, frozenset[str]]] = {
    RunState: {
        "": frozenset({"queued", "running"}),
        "queued": frozenset({"running", "failed", "cancelled", "lost"}),
        "running": TERMINAL,
    },
    StepState: {
        "": frozenset({"queued"}),
        "queued": frozenset({"running", "failed", "cancelled", "lost"}),
        "running": TERMINAL | {"queued"},
    },
}
"""For each kind: from which state to which. The empty string is "not there yet"."""


def is_terminal(state: str) -> bool:
    """Whether the state is one that nothing leaves."""
    return state in TERMINAL


def in_words(state: str) -> str:
    """What something in that state has done, or does: "has failed", "is running"."""
    return f"has {state}" if state in ("succeeded", "failed") else f"is {state}"


def is_legal(old: str, new: RunState | StepState) -> bool:
    """Whether the table has the change; ``old`` is "" for something new."""
    return str(new) in MOVES[type(new)].get(str(old), frozenset())


def check_move(history: Sequence[str], new: RunState | StepState, *, what: str = "") -> None:
    """Return when the last state of the history may become ``new``; otherwise raise IllegalState.

    ``what`` names the thing in the error ("step 'train' of run 3"). The error's ``history`` ends with the
    refused state: "queued -> running -> succeeded -> running".
    """
    if is_legal(history[-1] if history else "", new):
        return
    path = " -> ".join([*(str(state) for state in history), str(new)])
    raise IllegalState(what=what or ("run" if isinstance(new, RunState) else "step"), history=path)
