"""What a step knows of the cells before it: their sources, for ``In`` and the magics of history, and their values.

No file, no thread, no database: only this notebook's cells, and those only where a step asks for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import IPython.core.history

__all__ = ["EarlierCells"]

_HistoryManager: Any = IPython.core.history.HistoryManager  # half of its functions have no annotations
_Cell = tuple[int, int, Any]


class EarlierCells(_HistoryManager):  # type: ignore[misc]
    """In the place of IPython's history."""

    def __init__(self, shell: Any) -> None:
        super().__init__(shell=shell, parent=shell, hist_file=":memory:", enabled=False)

    def begin(self, sources: Mapping[str, list[str]] | None, count: int, outputs: Mapping[int, Any]) -> dict[str, Any]:
        """Cell ``count`` is the next; the names under which it finds what was before it. ``sources`` are the cells as
        they were written (``raw``) and as Python (``parsed``), where they are wanted."""
        unknown = ["", *[""] * count]
        self.input_hist_parsed = unknown if sources is None else sources["parsed"]
        self.input_hist_raw = list(unknown) if sources is None else sources["raw"]
        self.output_hist = dict(outputs)
        written = (self.input_hist_raw[::-1] + [""] * 4)[1:4]
        earlier = dict(zip(("_i", "_ii", "_iii"), written, strict=True))
        inputs, shown = self.input_hist_parsed, self.output_hist
        return {"In": inputs, "_ih": inputs, "Out": shown, "_oh": shown, "_dh": self.dir_hist, **earlier}

    def get_tail(
        self, n: int | None = 10, raw: bool = True, output: bool = False, include_latest: bool = False
    ) -> Iterable[_Cell]:
        """The last ``n`` cells."""
        cells: list[_Cell] = list(self.get_range(raw=raw, output=output))
        end = len(cells) if include_latest else len(cells) - 1
        return cells[max(0, end - (10 if n is None else n)) : max(0, end)]
