"""Waiting: what a step that is queued waits for, in words. Pure."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace

from cellyard.backends.base import cost
from cellyard.model import Resources, format_memory

__all__ = ["Occupancy", "Occupant"]

_NAMED = 2


@dataclass(frozen=True, slots=True)
class Occupant:
    """A step that was there before, and its size."""

    name: str
    run: int
    resources: Resources


@dataclass(slots=True)
class _Use:
    """What the steps have of one kind; the first of them by name."""

    amount: int = 0
    users: int = 0
    named: list[str] = field(default_factory=list)


class Occupancy:
    """What steps have, or will have before others, of a capacity. To add one, and to ask, takes the same time however
    many there are."""

    def __init__(self, capacity: Resources) -> None:
        self._there = _limits(capacity)
        self._used: dict[str, _Use] = {}

    def add(self, each: Occupant) -> None:
        """A step that comes before those that are asked for next."""
        for kind, amount in cost(each.resources).items():
            use = self._used.setdefault(kind, _Use())
            use.amount += amount
            use.users += 1
            if len(use.named) < _NAMED:
                use.named.append(f"step {each.name!r} (run {each.run})")

    def short_for(self, wanted: Resources) -> str:
        """What is short, and who has it: "2 CPU; step 'train' (run 3) has 2 of 2". Empty when there is room."""
        for kind, amount in cost(wanted).items():
            use, there = self._used.get(kind), self._there.get(kind)
            if use is not None and there is not None and use.amount + amount > there:
                more = f" and {use.users - _NAMED} more" if use.users > _NAMED else ""
                have = "have" if use.users > 1 else "has"
                has = f"{', '.join(use.named)}{more} {have} {_words(kind, use.amount)}"
                return f"{_words(kind, amount)}; {has} of {_words(kind, there)}"
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
