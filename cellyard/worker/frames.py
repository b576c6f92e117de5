"""Frames: where an exception of a cell was raised, with the local variables, as far as they can travel."""

from __future__ import annotations

import linecache
import types
from collections.abc import Iterator, Mapping
from typing import Any

from cellyard.artifacts.artifact import DefinitionStore, pack_group, store_packed, writing
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
    choice = _Choice(namespace)
    travelling = [choice.of({} if frame.f_locals is namespace else frame.f_locals) for frame, _ in found]
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


class _Nowhere:
    """Where definitions are put to see whether they can be."""

    url = ""

    def put(self, data: object) -> str:
        return ""


class _Choice:
    """Which variables travel: those that can, as long as there is room."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._left = _MOST_BYTES
        self._definitions = DefinitionStore(namespace, _Nowhere())
        self._sound: set[str] = set()

    def of(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of one frame, or what stands for them."""
        return {name: self._chosen(value) for name, value in dict(names).items()}

    def _chosen(self, value: Any) -> Any:
        size = size_of(value)
        if type(value) in _AT_HAND and size < _LONGEST:
            return value
        if size > self._left:
            return Absent(f"<{type(value).__name__} of {size:,} bytes: too large to travel>")
        try:
            self._try(value)
        except CannotTravel as error:
            return Absent(f"<{_shown(value)}: it could not travel, {error.reason}>")
        self._left -= size
        return value

    def _try(self, value: Any) -> None:
        """Raises CannotTravel, also for a class or function of the notebook that the value needs."""
        needed = pack_group({"value": value}, self._namespace).definitions
        self._sound.update(self._definitions.put({t: d for t, d in needed.items() if t not in self._sound}))


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
