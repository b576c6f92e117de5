"""Tracebacks as values: files, names, lines and the places in them, without the variables of their frames."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Any

from cellyard.artifacts.definitions import namespace_here

__all__ = ["rebuild_traceback", "traceback_frames"]

_SHELL = "IPython/core/interactiveshell.py"
_Place = tuple[str, str, str, int, bytes, int, int, str | None]


def traceback_frames(trace: types.TracebackType, namespace: dict[str, Any]) -> tuple[_Place, ...]:
    """What :func:`rebuild_traceback` needs. Without the frames of the shell that has run the cell: an exception that
    a cell has caught has none of them."""
    found: list[_Place] = []
    for each in _each(trace):
        frame, code = each.tb_frame, each.tb_frame.f_code
        if code.co_filename.endswith(_SHELL):
            found.clear()
            continue
        module = None if frame.f_globals is namespace else str(frame.f_globals.get("__name__"))
        place = (code.co_filename, code.co_name, code.co_qualname, code.co_firstlineno, code.co_linetable)
        found.append((*place, each.tb_lineno, each.tb_lasti, module))
    return tuple(found)


def _each(trace: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def rebuild_traceback(places: tuple[_Place, ...]) -> types.TracebackType | None:
    """A traceback that reads as the one it was made of."""
    found: types.TracebackType | None = None
    for *place, line, instruction, module in reversed(places):
        names = namespace_here() if module is None else {"__name__": module}
        found = types.TracebackType(found, _frame(tuple(place), names), instruction, line)
    return found


def _frame(place: tuple[Any, ...], names: dict[str, Any]) -> types.FrameType:
    """A frame of such code, which never runs: that of a generator nobody has started. Unlike one that has raised, it
    keeps nothing alive of whoever made it."""
    file, name, qualified, first, lines = place
    code = _never.__code__.replace(
        co_filename=file, co_name=name, co_qualname=qualified, co_firstlineno=first, co_linetable=lines
    )
    frame: types.FrameType = types.FunctionType(code, names)().gi_frame
    return frame


def _never() -> Iterator[None]:
    yield
