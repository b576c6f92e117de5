"""Drawing: a metric's curve and a run's timeline as SVG. Pure; every text in it is escaped."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import Any

from cellyard.model import format_duration

__all__ = ["curve", "timeline"]

_WIDTH, _HEIGHT, _EDGE = 260.0, 90.0, 4.0
_BAR, _NAMES = 22, 180
_LINE = 640
_MOST_POINTS = 1000
_COLOURS = {"succeeded": "#2da44e", "failed": "#cf222e", "lost": "#cf222e", "cancelled": "#bf8700"}


def curve(points: Sequence[tuple[float, float | str]]) -> str:
    """The curve of a metric through its finite points; nothing for fewer than two."""
    finite = [(float(x), float(y)) for x, y in points if not isinstance(y, str) and math.isfinite(y)]
    if len(finite) < 2:
        return ""
    stride = -(-len(finite) // _MOST_POINTS)
    kept = [*finite[::stride], finite[-1]]
    left, right = _span([x for x, _ in kept])
    low, high = _span([y for _, y in kept])
    across, down = _WIDTH - 2 * _EDGE, _HEIGHT - 2 * _EDGE
    path = " ".join(
        f"{_EDGE + (x - left) / (right - left) * across:.1f},{_EDGE + (high - y) / (high - low) * down:.1f}"
        for x, y in kept
    )
    return (
        f"<svg width='{_WIDTH:g}' height='{_HEIGHT + 18:g}' role='img'>"
        f"<polyline points='{path}' fill='none' stroke='#0969da' stroke-width='1.5'/>"
        f"<text x='{_EDGE:g}' y='{_HEIGHT + 12:g}'>{min(y for _, y in kept):.4g} to {max(y for _, y in kept):.4g}, "
        f"{len(finite):,} values</text></svg>"
    )


def timeline(steps: Sequence[Mapping[str, Any]]) -> str:
    """When each step ran, as bars under one another; nothing where no step began."""
    ran = [step for step in steps if step.get("started")]
    if not ran:
        return ""
    began = min(step["started"] for step in ran)
    last = max(step.get("finished") or step["started"] for step in ran)
    scale = _LINE / max(last - began, 1e-3)
    rows = "".join(_row(step, number, began, scale) for number, step in enumerate(ran))
    return f"<svg width='{_NAMES + _LINE + 80}' height='{_BAR * len(ran)}' role='img'>{rows}</svg>"


def _row(step: Mapping[str, Any], number: int, began: float, scale: float) -> str:
    start, top = (step["started"] - began) * scale, number * _BAR
    seconds = (step.get("finished") or step["started"]) - step["started"]
    width = max(2.0, seconds * scale)
    name = step["name"] if len(step["name"]) <= 24 else f"{step['name'][:23]}…"
    return (
        f"<text x='0' y='{top + 15}'>{escape(name)}</text>"
        f"<rect x='{_NAMES + start:.1f}' y='{top + 4}' width='{width:.1f}' height='{_BAR - 8}' rx='3' "
        f"fill='{_COLOURS.get(step['state'], '#0969da')}'/>"
        f"<text x='{_NAMES + start + width + 6:.1f}' y='{top + 15}'>{escape(format_duration(round(seconds, 2)))}</text>"
    )


def _span(values: Sequence[float]) -> tuple[float, float]:
    """Lowest and highest; never equal."""
    low, high = min(values), max(values)
    return (low, high) if high > low else (low - 0.5, high + 0.5)
