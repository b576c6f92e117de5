"""Causes: why an attempt ended badly, and what to do, from what was seen of it while it ran. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cellyard.errors import CellyardError, StepOutOfMemory, WorkerLost, error_from_dict
from cellyard.model import Resources, format_duration, format_memory

__all__ = ["Seen", "curve_of", "explained", "proposed_memory"]

_PROPOSAL = re.compile(r"Try --memory ([\d.]+)GiB\.")
_BARS = "▁▂▃▄▅▆▇█"
_WIDTH = 60
_NAMED = 3
_NEARLY = 0.85
"""Of its limit: a step whose worker was lost when it had used as much was probably stopped for that."""
_STEP = 1 << 28
_MOST_READINGS = 600


@dataclass(slots=True)
class Seen:
    """What was seen of an attempt while it ran: readings of its memory (seconds since 1970, bytes, CPU seconds), and
    its largest objects when they were last asked for. The one thing here that changes."""

    readings: list[tuple[float, int, float]] = field(default_factory=list)
    objects: list[dict[str, Any]] = field(default_factory=list)

    def note(self, time: float, used: int, cpu: float) -> None:
        """A reading; when there are too many, every second one is forgotten."""
        self.readings.append((time, used, cpu))
        if len(self.readings) > _MOST_READINGS:
            del self.readings[::2]


def explained(
    message: Mapping[str, Any], seen: Seen, resources: Resources, *, began: float, most: int | None = None
) -> tuple[dict[str, Any] | None, list[list[float]]]:
    """The error of a finished message, with what memory has to do with it; and the curve: seconds since the beginning,
    bytes, CPU seconds. The worker's own samples, or, where it did not live to send them, what was seen. ``most``: the
    memory that a step can have where this one ran."""
    curve = message.get("samples") or curve_of(seen, began)
    error = message.get("error")
    if not error or not error.get("cellyard"):
        return error, curve
    found = error_from_dict(error["cellyard"])
    if isinstance(found, StepOutOfMemory):
        return _out_of_memory(error, found, seen, curve, most), curve
    if isinstance(found, WorkerLost) and _was_nearly_full(curve, resources.memory):
        return _lost_when_full(error, found, seen, curve, resources.memory or 0, most), curve
    return dict(error), curve


def curve_of(seen: Seen, began: float) -> list[list[float]]:
    """The readings as a curve."""
    return [[round(max(0.0, time - began), 3), used, cpu] for time, used, cpu in seen.readings]


def proposed_memory(used: int) -> int:
    """Half as much again, in quarters of a GiB."""
    return -(-(used * 3 // 2) // _STEP) * _STEP


def _out_of_memory(
    error: Mapping[str, Any], found: CellyardError, seen: Seen, curve: Sequence[Sequence[float]], most: int | None
) -> dict[str, Any]:
    hint = _attainable(found.fields.get("hint", ""), most, int(found.fields.get("limit_bytes") or 0))
    fields = {
        **found.fields,
        "objects": seen.objects,
        "hint": " ".join([*_where(error), *_largest(seen), hint]),
    }
    return _told(error, StepOutOfMemory(**fields), seen, curve)


def _lost_when_full(
    error: Mapping[str, Any],
    found: CellyardError,
    seen: Seen,
    curve: Sequence[Sequence[float]],
    limit: int,
    most: int | None,
) -> dict[str, Any]:
    last, more = format_memory(int(curve[-1][1])), proposed_memory(limit) / (1 << 30)
    proposal = _attainable(f"Try --memory {more:g}GiB.", most, limit)
    reason = f"It had {last} of its {format_memory(limit)} when last seen: it may have run out of memory."
    hint = [str(found.fields.get("hint", "")), reason, *_largest(seen), proposal]
    return _told(error, type(found)(**{**found.fields, "hint": " ".join(hint).strip()}), seen, curve)


def _attainable(hint: str, most: int | None, limit: int) -> str:
    """The hint, whose proposal is no more than there is."""
    proposed = _PROPOSAL.search(hint)
    if proposed is None or most is None or float(proposed[1]) * (1 << 30) <= most:
        return hint
    there = f"{most >> 20}MiB" if most % _STEP else f"{most / (1 << 30):g}GiB"
    less = f"It had all the memory that there is here ({there}): hold less at a time."
    more = f"Try --memory {there}, the most that there is here, or hold less at a time."
    return hint.replace(proposed[0], more if limit < most else less)


def _was_nearly_full(curve: Sequence[Sequence[float]], limit: int | None) -> bool:
    return bool(curve and limit) and curve[-1][1] >= (limit or 0) * _NEARLY


def _told(
    error: Mapping[str, Any], found: CellyardError, seen: Seen, curve: Sequence[Sequence[float]]
) -> dict[str, Any]:
    lines = [*error.get("traceback", ()), *_drawn(curve), *_table(seen)]
    frames = {"frames": error["frames"]} if error.get("frames") else {}
    return {**found.to_step_error(traceback=lines, cause=error.get("cause") or str(found)), **frames}


def _where(error: Mapping[str, Any]) -> list[str]:
    places = (error.get("frames") or {}).get("frames") or ()
    return [f"It was in line {place['line']} of its cell." for place in places if place["is_cell"]][-1:]


def _largest(seen: Seen) -> list[str]:
    if not seen.objects:
        return []
    named = ", ".join(f"{_name(each)} ({format_memory(each['bytes'])})" for each in seen.objects[:_NAMED])
    return [f"Its largest objects were {named}."]


def _name(each: Mapping[str, Any]) -> str:
    return f"{each['name']} in {each['where']}" if each.get("where") else str(each["name"])


def _table(seen: Seen) -> list[str]:
    rows = [(_name(each), format_memory(each["bytes"]), each["type"]) for each in seen.objects]
    if not rows:
        return []
    width = max(len(name) for name, _, _ in rows)
    return ["largest objects when last looked at:"] + [
        f"  {name:<{width}}  {size:>9}  {kind}" for name, size, kind in rows
    ]


def _drawn(curve: Sequence[Sequence[float]]) -> list[str]:
    """The curve as a line of bars, each as wide in time as the others."""
    if not curve:
        return []
    end, most = curve[-1][0] or 1.0, max(point[1] for point in curve) or 1
    bars = [0.0] * min(_WIDTH, len(curve))
    for seconds, used, *_ in curve:
        at = min(len(bars) - 1, int(seconds / end * len(bars)))
        bars[at] = max(bars[at], used)
    for at in range(1, len(bars)):
        bars[at] = bars[at] or bars[at - 1]
    line = "".join(_BARS[min(7, int(used / most * 8))] for used in bars)
    return [f"memory over {format_duration(end)}, at most {format_memory(int(most))}:", f"  {line}"]
