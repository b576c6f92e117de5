"""Curve: the memory and CPU time of a step over its life, in a bounded number of points however long it runs."""

from __future__ import annotations

__all__ = ["Curve"]

MOST = 120
FIRST_SECONDS = 0.05


class Curve:
    """Points of (seconds since the start, most bytes since the point before, CPU seconds until then).

    When there are too many, each two become one, and the next ones are twice as far apart.
    """

    def __init__(self) -> None:
        self.points: list[tuple[float, int, float]] = []
        self._every = FIRST_SECONDS
        self._due = 0.0
        self._most = 0

    def note(self, seconds: float, used: int) -> bool:
        """A reading of memory; True when a point is due, which :meth:`add` makes with the CPU time."""
        self._most = max(self._most, used)
        return seconds >= self._due

    def add(self, seconds: float, cpu: float) -> None:
        """A point of all readings since the last one."""
        self.points.append((round(seconds, 3), self._most, round(cpu, 3)))
        self._most = 0
        if len(self.points) >= MOST:
            pairs = zip(self.points[::2], self.points[1::2], strict=True)
            self.points = [(b[0], max(a[1], b[1]), b[2]) for a, b in pairs]
            self._every *= 2
        self._due = seconds + self._every

    def end(self, seconds: float, used: int, cpu: float) -> list[list[float]]:
        """All points, with one for the end; none of a step that was over before the first reading."""
        if not self.points and not self._most:
            return []
        self.note(seconds, used)
        self.add(seconds, cpu)
        return [list(point) for point in self.points]
