"""Tracebacks as values: files, names, lines and the places in them, without the variables of their frames."""

from __future__ import annotations

import dis
import inspect
import types
from collections.abc import Iterable, Iterator
from typing import Any

from cellyard.artifacts.definitions import namespace_here

__all__ = ["Absent", "cell_files", "rebuild_traceback", "traceback_frames"]

_SHELL = "IPython/core/interactiveshell.py"
_Place = tuple[Any, ...]
_NOP = bytes([dis.opmap["NOP"], 0])
_MOST = 8
"""Instructions that one entry of a table of lines may be about."""
_LINE_ALONE = 0x80 | 13 << 3
_MODULE = 7


class Absent:
    """Stands for a local variable that did not travel, and says so."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


_UNKNOWN = Absent("<not kept: the values of these frames did not travel>")


def traceback_frames(trace: types.TracebackType, namespace: dict[str, Any]) -> tuple[_Place, ...]:
    """What :func:`rebuild_traceback` needs. An exception that has ended a cell leads there from the shell's own frame,
    and in a kernel from no other."""
    found: list[_Place] = []
    for each in _each(trace):
        frame, code = each.tb_frame, each.tb_frame.f_code
        if code.co_filename.endswith(_SHELL) and not cell_files(found):
            found.clear()
        module = None if frame.f_globals is namespace else str(frame.f_globals.get("__name__"))
        place = (code.co_filename, code.co_name, code.co_qualname, code.co_firstlineno, code.co_linetable)
        taken = _taken(code)
        others = _others(code, taken[0])
        found.append((*place, each.tb_lineno, each.tb_lasti, module, _left_at(frame, each), taken, others))
    return tuple(found)


def cell_files(places: Iterable[_Place]) -> list[str]:
    """The files of those that are the notebook's own code."""
    return [place[0] for place in places if place[_MODULE] is None]


def _left_at(frame: types.FrameType, trace: types.TracebackType) -> tuple[int, int, int]:
    """How long its code is, the last line there, and the line where the frame has ended: IPython shows that one."""
    code = frame.f_code
    lines = [line for line, *_ in code.co_positions() if line is not None]
    last = lines[-1] if lines else code.co_firstlineno
    return len(code.co_code) // 2, last, frame.f_lineno or trace.tb_lineno


def _taken(code: types.CodeType) -> tuple[tuple[str, ...], int, int, int, int]:
    """The names of its arguments, and of which kind they are."""
    kinds = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    positional, named = code.co_argcount, code.co_kwonlyargcount
    number = positional + named + kinds.bit_count()
    return code.co_varnames[:number], positional, code.co_posonlyargcount, named, kinds


def _others(code: types.CodeType, arguments: Iterable[str]) -> tuple[str, ...]:
    """The names of its other variables."""
    return tuple(name for name in (*code.co_varnames, *code.co_cellvars, *code.co_freevars) if name not in arguments)


def _each(trace: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def rebuild_traceback(places: tuple[_Place, ...]) -> types.TracebackType | None:
    """A traceback that reads as the one it was made of."""
    found: types.TracebackType | None = None
    for place in reversed(places):
        line, instruction, module, *ending = place[5:]
        names = namespace_here() if module is None else {"__name__": module}
        frame = _frame(place[:5], names, *ending)
        found = types.TracebackType(found, frame, instruction, line)
    return found


def _frame(
    place: tuple[Any, ...],
    names: dict[str, Any],
    left_at: tuple[int, int, int] = (0, 0, 0),
    taken: tuple[tuple[str, ...], int, int, int, int] = ((), 0, 0, 0, 0),
    others: Iterable[str] = (),
) -> types.FrameType:
    """A frame of such code, which never runs: that of a generator nobody has started. Unlike one that has raised, it
    keeps nothing alive of whoever made it. The generator begins behind what the table of lines is about, at the line
    where the frame has ended. Earlier versions have not written down that line, nor the variables."""
    file, name, qualified, first, lines = place
    length, last, line = left_at
    arguments, positional, by_place, named, kinds = taken
    own = _never.__code__
    code = own.replace(
        co_filename=file,
        co_name=name,
        co_qualname=qualified,
        co_firstlineno=first,
        co_code=_NOP * length + own.co_code,
        co_linetable=lines + (_all_at(line - last, len(own.co_code) // 2) if length else b""),
        co_varnames=arguments,
        co_nlocals=len(arguments),
        co_argcount=positional,
        co_posonlyargcount=by_place,
        co_kwonlyargcount=named,
        co_flags=own.co_flags | kinds,
    )
    function: Any = types.FunctionType(code, names)
    by_name = [*arguments[positional : positional + named], *["..."] * bool(kinds & inspect.CO_VARKEYWORDS)]
    number = positional + bool(kinds & inspect.CO_VARARGS)
    frame: types.FrameType = function(*[_UNKNOWN] * number, **dict.fromkeys(by_name, _UNKNOWN)).gi_frame
    # Its code has no such variables: the frame keeps them like those that a debugger adds.
    frame.f_locals.update(dict.fromkeys(others, _UNKNOWN))
    return frame


def _all_at(delta: int, number: int) -> bytes:
    """Entries of a table of lines (Objects/locations.md of CPython): so many instructions, all at the line that is
    ``delta`` below the last one."""
    rest, more = number - 1, b""
    while rest > 0:
        more += bytes([_LINE_ALONE | min(rest, _MOST) - 1]) + _signed(0)
        rest -= _MOST
    return bytes([_LINE_ALONE]) + _signed(delta) + more


def _signed(value: int) -> bytes:
    left = -value << 1 | 1 if value < 0 else value << 1
    found = bytearray()
    while left > 63:
        found.append(64 | left & 63)
        left >>= 6
    return bytes([*found, left])


def _never() -> Iterator[None]:
    yield
