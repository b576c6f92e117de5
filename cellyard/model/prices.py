"""Prices: what a step costs, from a table per CPU-hour, GiB-hour and GPU-hour. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from cellyard.model.plain import Plain
from cellyard.model.resources import Resources

__all__ = ["Prices"]

_HOUR = 3600.0
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Prices(Plain):
    """A price table; with nothing in it, nothing has a price."""

    cpu: float = 0.0
    memory: float = 0.0
    gpu: float = 0.0
    currency: str = ""

    def __bool__(self) -> bool:
        return any((self.cpu, self.memory, self.gpu))

    def cost(self, resources: Resources, seconds: float, *, peak: int | None = None) -> float:
        """What that size costs for that time; without a limit of memory, what was used of it."""
        gib = (resources.memory or peak or 0) / _GIB
        return (resources.cpu * self.cpu + gib * self.memory + resources.gpu * self.gpu) * seconds / _HOUR

    def words(self, amount: float) -> str:
        """An amount as it is shown: "0.042 EUR"."""
        digits = 2 if amount >= 1 else 4
        return f"{amount:.{digits}f} {self.currency}".strip()
