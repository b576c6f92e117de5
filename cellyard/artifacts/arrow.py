"""Columns of pandas that are kept by Arrow. Pickles of both lose a table of what is missing that says "nothing"; with
it go bytes that ``df.info()`` counts."""

from __future__ import annotations

import sys
from typing import Any

from cellyard.artifacts.kinds import package_of

__all__ = ["column_reduce", "rebuild_column"]

_OF_TEXTS = 3
"""Buffers: the table, the places where texts end, their bytes."""
_NOT_COUNTED = -1
"""How many are missing: told that none is, Arrow would forget the table."""
_ONE_MORE = 8
"""Bytes of the place where the last text ends, which Arrow does not count."""


def column_reduce(column: Any, kind: type) -> Any:
    """The reduction of a column that has such a table and is in one part; else NotImplemented."""
    if package_of(kind) != "pandas" or not hasattr(kind, "_from_pyarrow_array"):
        return NotImplemented
    parts = column._pa_array.chunks
    if len(parts) != 1 or parts[0].null_count:
        return NotImplemented
    buffers = parts[0].buffers()
    if len(buffers) != _OF_TEXTS or buffers[0] is None or parts[0].offset:
        return NotImplemented
    if parts[0].get_total_buffer_size() > parts[0].nbytes + _ONE_MORE:  # a piece of a larger one
        return NotImplemented
    rest = {name: value for name, value in vars(column).items() if name not in {"_pa_array", "_cache"}}
    return rebuild_column, (kind, rest, _with_table(parts[0], None))


def rebuild_column(kind: Any, rest: dict[str, Any], part: Any) -> Any:
    """The column with a table that says that none is missing."""
    table = sys.modules["pyarrow"].py_buffer(b"\xff" * ((len(part) + 7) // 8))
    made = kind.__new__(kind)
    made.__setstate__({**rest, "_pa_array": _with_table(part, table)})
    return made


def _with_table(part: Any, table: Any) -> Any:
    _, *buffers = part.buffers()
    return sys.modules["pyarrow"].Array.from_buffers(part.type, len(part), [table, *buffers], _NOT_COUNTED)
