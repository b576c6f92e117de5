"""``%steps sizes``: which sizes to ask for, with the evidence."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any

from cellyard.model.resources import Resources, format_memory

__all__ = ["SizesTable"]

_COLUMNS = ("step", "has", "try", "because")


class SizesTable:
    """Proposals as a table, in text and in HTML that stands alone."""

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        self.rows = [_row(step) for step in steps]

    def __repr__(self) -> str:
        if not self.rows:
            return "No step of this notebook has run yet, so nothing is known of what they use."
        widths = [max(map(len, column)) for column in zip(_COLUMNS, *self.rows, strict=True)]
        lines = [_COLUMNS, ["-" * width for width in widths], *self.rows]
        return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)

    def _repr_html_(self) -> str | None:
        if not self.rows:
            return None
        head = "".join(f'<th style="text-align:left">{column}</th>' for column in _COLUMNS)
        cells = [[f'<td style="text-align:left">{html.escape(text)}</td>' for text in row] for row in self.rows]
        body = "".join(f"<tr>{''.join(row)}</tr>" for row in cells)
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _row(step: Mapping[str, Any]) -> list[str]:
    proposal = step["proposal"]
    memory = f"--memory {format_memory(proposal['memory']).replace(' ', '')}" if proposal["memory"] else ""
    cpu = f"--cpu {proposal['cpu']:g}" if proposal["cpu"] else ""
    has = Resources.from_dict(step["attempts"][0]["resources"])
    return [step["name"], str(has), " ".join(filter(None, [cpu, memory])), proposal["because"] or "too little is known"]
