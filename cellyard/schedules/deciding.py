"""Deciding: what follows from times that have come. Pure.

A time is *missed* when it came longer than :data:`GRACE` ago: the engine was not there. What is missed is caught up by
the schedule's policy, one run after another; what comes while a run is going on is treated by the other policy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["GRACE", "MISSED", "MOST_CAUGHT_UP", "OVERLAPS", "Action", "Situation", "decide"]

GRACE = 120.0
"""Seconds by which a start may be late without having been missed."""
MOST_CAUGHT_UP = 100
"""Runs that are caught up at the most, the latest ones."""

MISSED = ("once", "skip", "all")
OVERLAPS = ("skip", "queue", "replace", "allow")


@dataclass(frozen=True, slots=True)
class Situation:
    """``running`` and ``waiting``: how many of the schedule's runs do so now."""

    now: float
    missed: str
    overlap: str
    running: int = 0
    waiting: int = 0


@dataclass(frozen=True, slots=True)
class Action:
    """What is done about a time: ``what`` is start, wait (for those before it), skip, or replace (start when what runs
    has been stopped). ``cause`` is time, missed, change or hand."""

    what: str
    due: float
    cause: str
    note: str = ""


def decide(times: Sequence[float], situation: Situation, *, cause: str = "time") -> list[Action]:
    """For times that have come, the oldest first, what is done. Every one of them is in exactly one action, of those
    that are skipped the notes say how many they stand for."""
    late = [each for each in times if situation.now - each > GRACE] if cause == "time" else []
    actions = _catch_up(late, situation)
    busy = situation.running > 0 or situation.waiting > 0 or any(each.what != "skip" for each in actions)
    waits = situation.waiting + sum(each.what == "wait" for each in actions)
    for due in times[len(late) :]:
        found = _overlapping(due, cause, situation.overlap, waits) if busy else Action("start", due, cause)
        busy = busy or found.what != "skip"
        waits += found.what in ("wait", "replace")
        actions.append(found)
    return actions


def _catch_up(late: Sequence[float], situation: Situation) -> list[Action]:
    if not late:
        return []
    count = {"skip": 0, "once": 1, "all": MOST_CAUGHT_UP}[situation.missed]
    kept = list(late[-count:]) if count else []
    dropped = len(late) - len(kept)
    actions = []
    if dropped:
        note = f"{dropped} time{'s' * (dropped > 1)} came while no engine was there"
        actions.append(Action("skip", late[dropped - 1], "missed", note))
    is_free = not situation.running and not situation.waiting
    for number, due in enumerate(kept):
        actions.append(Action("start" if is_free and number == 0 else "wait", due, "missed"))
    return actions


def _overlapping(due: float, cause: str, overlap: str, waits: int) -> Action:
    if overlap == "allow":
        return Action("start", due, cause)
    if overlap == "queue" and not waits:
        return Action("wait", due, cause, "the run before it was still going on")
    if overlap == "replace" and not waits:
        return Action("replace", due, cause, "the run before it was stopped")
    reason = "another one waits already" if waits and overlap != "skip" else "the run before it was still going on"
    return Action("skip", due, cause, reason)
