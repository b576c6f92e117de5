"""The frames of a step's exception as a traceback here, so that ``%debug`` opens where the step was."""

from __future__ import annotations

import functools
import linecache
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from typing import Any

__all__ = ["remote_traceback"]

Load = Callable[[Mapping[str, Any]], dict[str, Any]]


def remote_traceback(described: Mapping[str, Any], names: dict[str, Any], load: Load) -> types.TracebackType | None:
    """A traceback of frames that have the files, lines, names and variables of the step's; these are loaded when they
    are first looked at. ``names`` are those of the notebook, which are the cell's own."""
    stored = _Stored(described.get("reference"), load)
    found: types.TracebackType | None = None
    for index in reversed(range(len(described["frames"]))):
        place = described["frames"][index]
        own = names if place["is_cell"] else _Locals(stored, index)
        frame = _frame(place, names, own)
        found = types.TracebackType(found, frame, frame.f_lasti, place["line"])
    return found


class _Stored:
    """What was stored with the exception; its sources are known to tracebacks from the first look on."""

    def __init__(self, reference: Mapping[str, Any] | None, load: Load) -> None:
        self._reference = reference
        self._load = load
        self._frames: list[dict[str, Any]] | None = None

    def frame(self, index: int) -> dict[str, Any]:
        if self._reference is None:  # it could tell no more than where it was
            return {}
        if self._frames is None:
            values = self._load(self._reference)
            self._frames = values["frames"]
            for file, text in values["sources"].items():
                if not linecache.getlines(file):
                    linecache.cache[file] = (len(text), None, text.splitlines(keepends=True), file)
        return self._frames[index]


class _Locals(MutableMapping[str, Any]):
    """The variables of one frame, loaded when it is first looked into."""

    def __init__(self, stored: _Stored, index: int) -> None:
        self._stored = stored
        self._index = index

    @functools.cached_property
    def _values(self) -> dict[str, Any]:
        return self._stored.frame(self._index)

    def __getitem__(self, name: str) -> Any:
        return self._values[name]

    def __setitem__(self, name: str, value: Any) -> None:
        self._values[name] = value

    def __delitem__(self, name: str) -> None:
        del self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        return repr(self._values)

    def copy(self) -> dict[str, Any]:
        """As of a dictionary: debuggers take one."""
        return dict(self._values)


def _frame(place: Mapping[str, Any], names: dict[str, Any], own: MutableMapping[str, Any]) -> types.FrameType:
    """A frame can only be made by running something; this stops at once, at the right line."""
    code = compile("\n" * (place["line"] - 1) + "1/0", place["file"], "exec")
    code = code.replace(co_name=place["name"], co_qualname=place["name"])
    try:
        exec(code, names, own)
    except ZeroDivisionError as error:
        stopped = error.__traceback__
    inner = stopped and stopped.tb_next
    assert inner is not None, "a division by zero went well"
    return inner.tb_frame
