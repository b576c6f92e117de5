"""Waiting: what a step that is queued waits for, in words. Pure."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from cellyard.backends.base import cost
from cellyard.model import Resources, format_memory

__all__ = ["Occupant", "waits_for"]

_NAMED = 2


@dataclass(frozen=True, slots=True)
class Occupant:
    """A step that was there before, and its size."""

    name: str
    run: int
    resources: Resources


def waits_for(wanted: Resources, occupants: Sequence[Occupant], capacity: Resources) -> str:
    """What is short, and who has it: "2 CPU; step 'train' (run 3) has 2 of 2". Empty when there is room."""
    asked, there = cost(wanted), _limits(capacity)
    for kind, amount in asked.items():
        users = [each for each in occupants if cost(each.resources).get(kind)]
        used = sum(cost(each.resources)[kind] for each in users)
        if kind in there and users and used + amount > there[kind]:
            names = ", ".join(f"step {each.name!r} (run {each.run})" for each in users[:_NAMED])
            more = f" and {len(users) - _NAMED} more" if len(users) > _NAMED else ""
            have = "have" if len(users) > 1 else "has"
            return f"{_words(kind, amount)}; {names}{more} {have} {_words(kind, used)} of {_words(kind, there[kind])}"
    return ""


def _limits(capacity: Resources) -> dict[str, int]:
    """What there is; CPUs without a limit are no limit."""
    bounded = capacity if math.isfinite(capacity.cpu) else replace(capacity, cpu=0.0)
    found = cost(bounded)
    if bounded is not capacity:
        del found["cpu"]
    return found


def _words(kind: str, amount: int) -> str:
    if kind == "memory":
        return format_memory(amount)
    return f"{amount / 1000:g} CPU" if kind == "cpu" else f"{amount} GPU"
