"""Sizing: which size to ask for, judged by what earlier attempts at a step have used. Pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from cellyard.model.plain import Plain
from cellyard.model.resources import Resources, format_duration, format_memory

__all__ = ["Evidence", "Proposal", "propose", "size_at", "sizes_of_attempts"]

_MARGIN = 1.25
_SMALLEST = 256 << 20
_LONG_ENOUGH = 1.0
"""Seconds below which the CPU time of an attempt tells nothing of how many CPUs it can use."""
_BUSY = 0.9
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Evidence(Plain):
    """What one attempt used: ``peak`` bytes, ``cpu`` and ``seconds``, of the ``resources`` that it had; ``input``: the
    bytes of what it was given; ``failure``: the type of its error."""

    run: int
    state: str
    resources: Resources
    peak: int | None = None
    cpu: float | None = None
    seconds: float | None = None
    input: int = 0
    failure: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The evidence as JSON."""
        return {**self._fields(), "resources": self.resources.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Evidence:
        """What :meth:`to_dict` wrote."""
        return cls(**{**data, "resources": Resources.from_dict(data["resources"])})

    @property
    def ran_out(self) -> bool:
        """Whether its memory did not suffice."""
        return self.failure == "StepOutOfMemory"


@dataclass(frozen=True, slots=True)
class Proposal(Plain):
    """A size to ask for; None where nothing is known. ``because``: the evidence, in words."""

    memory: int | None
    cpu: float | None
    because: str


def size_at(error: Mapping[str, Any] | None, later: Resources) -> Resources:
    """The size of an attempt that ended with this error; ``later``: that of the attempt after it, or of its step."""
    limit = ((error or {}).get("cellyard") or {}).get("fields", {}).get("limit_bytes")
    return replace(later, memory=int(limit)) if limit else later


def sizes_of_attempts(last: Resources, errors: Sequence[Mapping[str, Any] | None]) -> list[Resources]:
    """The size of each attempt at a step, the first one first: only one that ran out of memory is followed by one of
    another size. ``last`` is the size that the step has now."""
    found: list[Resources] = []
    for error in reversed(errors):
        last = size_at(error, last)
        found.insert(0, last)
    return found


def propose(evidence: Sequence[Evidence]) -> Proposal:
    """From attempts at one step, the newest first."""
    memory, why_memory = _memory(evidence)
    cpu, why_cpu = _cpu(evidence)
    return Proposal(memory, cpu, "; ".join(filter(None, [why_memory, why_cpu])))


def _memory(evidence: Sequence[Evidence]) -> tuple[int | None, str]:
    used = [each.peak for each in evidence if each.state == "succeeded" and each.peak]
    proposed = _rounded(max(used) * _MARGIN) if used else 0
    shown = ", ".join(format_memory(peak) for peak in used[:_SHOWN])
    runs = f"{len(used)} run{'s' if len(used) > 1 else ''}"
    why = f"it used at most {shown} in {runs}" if used else ""
    failed = [each.resources.memory for each in evidence if each.ran_out and each.resources.memory]
    if failed and 2 * max(failed) > proposed and not any(peak > max(failed) for peak in used):
        proposed = 2 * max(failed)
        why = "; ".join(filter(None, [f"{format_memory(max(failed))} did not suffice", why]))
    return proposed or None, why


def _rounded(size: float) -> int:
    unit = (1 << 28) if size >= 1 << 30 else (1 << 26)
    return max(_SMALLEST, math.ceil(size / unit) * unit)


def _cpu(evidence: Sequence[Evidence]) -> tuple[float | None, str]:
    known = [
        each for each in evidence if each.state == "succeeded" and (each.seconds or 0) >= _LONG_ENOUGH and each.cpu
    ]
    if not known:
        return None, ""
    busiest = max(known, key=lambda each: (each.cpu or 0) / (each.seconds or 1))
    busy, had = (busiest.cpu or 0) / (busiest.seconds or 1), busiest.resources.cpu
    took = f"{busy:.1f} of its {had:g} CPU busy for {format_duration(busiest.seconds or 0)}"
    if busy >= had * _BUSY and had > 1:
        return had * 2, f"{took}: more might help"
    return float(max(1, math.ceil(busy - 0.1))), took
