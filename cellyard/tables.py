"""Tables: rows of texts in columns, and as HTML that stands alone. Pure."""

from __future__ import annotations

import html
from collections.abc import Sequence

__all__ = ["Table", "aligned", "as_html"]

Rows = Sequence[Sequence[str]]
_LEFT = 'style="text-align:left"'


def aligned(rows: Rows) -> list[str]:
    """A line for each row, its cells below those of the row before."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def as_html(columns: Sequence[str], rows: Rows) -> str:
    """The rows below the names of their columns."""
    head = "".join(f"<th {_LEFT}>{html.escape(column)}</th>" for column in columns)
    body = "".join("<tr>" + "".join(map(_cell, row)) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _cell(text: str) -> str:
    return f"<td {_LEFT}>{'<br>'.join(map(html.escape, text.splitlines()))}</td>"


class Table:
    """Rows that a notebook shows; ``nothing`` is said where there are none."""

    columns: tuple[str, ...] = ()
    nothing = ""

    def __init__(self, rows: Rows) -> None:
        self.rows = rows

    def __repr__(self) -> str:
        if not self.rows:
            return self.nothing
        head, *lines = aligned([self.columns, *self.rows])
        rule = "  ".join("-" * max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True))
        return "\n".join([head, rule, *lines])

    def _repr_html_(self) -> str | None:
        return as_html(self.columns, self.rows) if self.rows else None
