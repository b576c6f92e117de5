"""The frames of a step's exception as a traceback here, so that ``%debug`` opens where the step was."""

from __future__ import annotations

import functools
import linecache
import types
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from typing import Any

from cellyard.artifacts.exceptions import chain_of
from cellyard.errors import CellyardError

__all__ = ["give_tracebacks", "without_ours"]

Load = Callable[[Mapping[str, Any]], dict[str, Any]]


_OURS = ("cellyard", "kernel_magics")
_NOWHERE = "<no frames>"
_NOTHING = "# There are no frames of the step to look into; `up` leads to the cell.\n"
_PROXIES = "wrapt"
_MAGICS = ("run_cell_magic", "run_line_magic")


def give_tracebacks(error: BaseException, described: Mapping[str, Any], names: dict[str, Any], load: Load) -> None:
    """The exception, and what it was raised from, get tracebacks of frames that have the files, lines, names and
    variables of the step's; these are loaded when they are first looked at. ``names`` are those of the notebook, which
    are the cell's own."""
    stored = _Stored(described.get("reference"), load)
    error.__traceback__ = _traceback(described["frames"], 0, names, stored)
    first, chain = len(described["frames"]), chain_of(error)
    for way, places in described.get("below", {}).items():
        if way in chain:
            chain[way].__traceback__ = _traceback(places, first, names, stored)
        first += len(places)


def _traceback(
    places: Sequence[Mapping[str, Any]], first: int, names: dict[str, Any], stored: _Stored
) -> types.TracebackType | None:
    """``first``: the number of the first place among all that were stored."""
    found: types.TracebackType | None = None
    for index, place in reversed(list(enumerate(places, first))):
        own = names if place["is_cell"] else _Locals(stored, index)
        frame = _frame(place, names, own)
        found = types.TracebackType(found, frame, frame.f_lasti, place["line"])
        stored.know(place["file"])
    return found


def without_ours(error: BaseException, *, ending_in: dict[str, Any] | None = None) -> None:
    """Its traceback leads from the cell to the step's frames: between are only magics and ours. Where the step has
    none, and there are names of the notebook, it ends in one that says so."""
    entries = list(_each(error.__traceback__))
    between = [number for number, entry in enumerate(entries) if _is_between(entry.tb_frame)]
    if between or not entries:
        first, last = (between[0], between[-1]) if between else (0, -1)
        while first and _module(entries[first - 1].tb_frame).partition(".")[0] == _PROXIES:
            first -= 1
        following = _joined(entries[last + 1 :], None)
        if following is None and ending_in is not None:
            following = _nothing_left(ending_in)
        error.__traceback__ = _joined(entries[:first], following)


def _each(trace: types.TracebackType | None) -> Iterator[types.TracebackType]:
    while trace is not None:
        yield trace
        trace = trace.tb_next


def _is_between(frame: types.FrameType) -> bool:
    module = _module(frame)
    is_magic = module == "IPython.core.interactiveshell" and frame.f_code.co_name in _MAGICS
    return is_magic or module.partition(".")[0] in _OURS


def _module(frame: types.FrameType) -> str:
    return str(frame.f_globals.get("__name__"))


def _joined(
    entries: Sequence[types.TracebackType], following: types.TracebackType | None
) -> types.TracebackType | None:
    for each in reversed(entries):
        following = types.TracebackType(following, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return following


def _nothing_left(names: dict[str, Any]) -> types.TracebackType:
    linecache.cache[_NOWHERE] = (len(_NOTHING), None, [_NOTHING], _NOWHERE)
    frame = _frame({"file": _NOWHERE, "line": 1, "name": "<module>"}, names, {})
    return types.TracebackType(None, frame, frame.f_lasti, 1)


class _Stored:
    """What was stored with the exception: loaded when a variable, or a line that is not here, is first looked at."""

    def __init__(self, reference: Mapping[str, Any] | None, load: Load) -> None:
        self._reference = reference
        self._load = load
        self._frames: list[dict[str, Any]] | None = None
        self._sources: dict[str, str] = {}

    def frame(self, index: int) -> dict[str, Any]:
        """The variables of one frame."""
        frames = self._load_all()
        return frames[index] if frames else {}

    def know(self, file: str) -> None:
        """Whoever asks for the lines of a file that is not here is given those that were stored."""
        if not linecache.getlines(file):
            linecache.cache[file] = (lambda: self._source(file),)

    def _source(self, file: str) -> str | None:
        try:
            self._load_all()
        except CellyardError:  # told when a variable is looked at
            return None
        return self._sources.get(file)

    def _load_all(self) -> list[dict[str, Any]]:
        """Nothing where the step could tell no more than where it was."""
        if self._frames is None and self._reference is not None:
            values = self._load(self._reference)
            self._frames, self._sources = values["frames"], values["sources"]
        return self._frames or []


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
