"""Frames: where an exception of a cell was raised, with the local variables, as far as they can travel."""

from __future__ import annotations

import linecache
import types
from collections.abc import Iterator, Mapping
from typing import Any

from cellyard.artifacts.artifact import pack_group, store_packed, writing
from cellyard.artifacts.store import Store
from cellyard.errors import CannotTravel
from cellyard.worker.measuring import size_of

__all__ = ["Absent", "describe_frames"]

_MOST_FRAMES = 60
_MOST_BYTES = 64 << 20
_MOST_TEXT = 1 << 20
_LONGEST = 200
_AT_HAND = (bool, int, float, complex, str, bytes, type(None))


class Absent:
    """Stands for a local variable that did not travel, and says so."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text


def describe_frames(error: BaseException, namespace: dict[str, Any], store: Store) -> dict[str, Any] | None:
    """The frames from the cell to where the exception was raised: ``frames`` (file, line, name, and whether its names
    are those of the cell) and ``reference``, the artifact of their local variables and sources. None without any."""
    found = list(_frames(error.__traceback__, namespace))[-_MOST_FRAMES:]
    if not found:
        return None
    left = _MOST_BYTES
    travelling: list[dict[str, Any]] = []
    for frame, _ in found:
        names, left = _travelling({} if frame.f_locals is namespace else frame.f_locals, namespace, left)
        travelling.append(names)
    values = {"frames": travelling, "sources": _sources(found)}
    with writing(store, namespace) as (batch, definitions):
        reference = store_packed(pack_group(values, namespace), values, batch, definitions)
    return {"frames": [_place(frame, line, namespace) for frame, line in found], "reference": reference.to_dict()}


def _frames(tb: types.TracebackType | None, namespace: Mapping[str, Any]) -> Iterator[tuple[types.FrameType, int]]:
    """From the cell's own on: what is before it is the shell's."""
    is_inside = False
    while tb is not None:
        is_inside = is_inside or tb.tb_frame.f_globals is namespace
        if is_inside:
            yield tb.tb_frame, tb.tb_lineno
        tb = tb.tb_next


def _place(frame: types.FrameType, line: int, namespace: Mapping[str, Any]) -> dict[str, Any]:
    code = frame.f_code
    is_cell = frame.f_locals is namespace
    return {"file": code.co_filename, "line": line, "name": code.co_name, "is_cell": is_cell}


def _travelling(names: Mapping[str, Any], namespace: dict[str, Any], left: int) -> tuple[dict[str, Any], int]:
    """The variables, or what stands for them; and how many bytes further ones may have."""
    found: dict[str, Any] = {}
    for name, value in dict(names).items():
        if type(value) in _AT_HAND and size_of(value) < _LONGEST:
            found[name] = value
            continue
        size = size_of(value)
        if size > left:
            found[name] = Absent(f"<{type(value).__name__} of {size:,} bytes: too large to travel>")
            continue
        try:
            pack_group({"value": value}, namespace)
        except CannotTravel as error:
            found[name] = Absent(f"<{_shown(value)}: it could not travel, {error.reason}>")
        else:
            found[name], left = value, left - size
    return found, left


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_LONGEST]
    except Exception:  # noqa: BLE001 - of the user's own
        return type(value).__name__


def _sources(found: list[tuple[types.FrameType, int]]) -> dict[str, str]:
    """The texts of the files, for a kernel that does not have them."""
    texts: dict[str, str] = {}
    left = _MOST_TEXT
    for file in {frame.f_code.co_filename for frame, _ in found}:
        text = "".join(linecache.getlines(file))
        if len(text) <= left:
            texts[file], left = text, left - len(text)
    return texts
