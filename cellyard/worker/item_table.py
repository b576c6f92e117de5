"""ItemTable: what is shown of many items: counts, what runs, what failed, what took longest. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from cellyard.model.resources import format_duration, format_memory
from cellyard.tables import aligned, as_html

__all__ = ["ItemRow", "ItemTable"]


@dataclass(frozen=True, slots=True)
class ItemRow:
    """One item: ``state`` is running, done or failed; ``log`` what it has printed."""

    index: int
    state: str
    seconds: float
    peak: int
    log: str

    def cells(self) -> tuple[str, ...]:
        """The item as texts: index, state, time, peak memory, last line of its log."""
        lines = self.log.strip().splitlines()
        peak = format_memory(self.peak) if self.peak else ""
        return (str(self.index), self.state, format_duration(self.seconds), peak, lines[-1][:100] if lines else "")


class ItemTable:
    """All items of one step, of which ``kept`` were done before; keeps a few rows of them, whatever their number."""

    MOST_SHOWN: ClassVar[int] = 20
    _COLUMNS: ClassVar[tuple[str, ...]] = ("item", "state", "time", "peak memory", "log")

    def __init__(self, total: int, variable: str, *, kept: int = 0) -> None:
        self._total = total
        self._kept = kept
        self._variable = variable
        self._failed: list[ItemRow] = []
        self._slowest: list[ItemRow] = []

    def note(self, row: ItemRow) -> None:
        """An item has ended."""
        if row.state == "failed":
            if len(self._failed) < self.MOST_SHOWN:
                self._failed.append(row)
            return
        if len(self._slowest) < self.MOST_SHOWN or row.seconds > self._slowest[-1].seconds:
            self._slowest = sorted([*self._slowest, row], key=lambda each: -each.seconds)[: self.MOST_SHOWN]

    def drawn(self, running: Sequence[ItemRow], *, waiting: int, failed: int, done: int) -> dict[str, str]:
        """The table as plain text and as HTML that needs nothing else."""
        head = f"{self._variable}: {done} of {self._total} done, {len(running)} running, {waiting} waiting"
        head += f", {failed} failed" if failed else ""
        head += f" ({self._kept} by an earlier try)" if self._kept else ""
        rows = [*self._failed, *running]
        rows += self._slowest[: max(0, self.MOST_SHOWN - len(rows))]
        shown = [row.cells() for row in rows[: self.MOST_SHOWN]]
        if self._total <= self.MOST_SHOWN:
            shown.sort(key=lambda cells: int(cells[0]))
        elif len(shown) < done - self._kept + failed:
            head += f"; the {len(shown)} that failed, run or took longest:"
        return {"text/plain": self._text(head, shown), "text/html": self._html(head, shown)}

    def _text(self, head: str, rows: Sequence[Sequence[str]]) -> str:
        return "\n".join([head, *(aligned([self._COLUMNS, *rows]) if rows else [])])

    def _html(self, head: str, rows: Sequence[Sequence[str]]) -> str:
        return f"<div>{html.escape(head)}</div>{as_html(self._COLUMNS, rows)}"
