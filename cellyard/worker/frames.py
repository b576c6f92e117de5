"""Frames: where an exception of a cell was raised, with the local variables, as far as they can travel."""

from __future__ import annotations

import io
import linecache
import pickle
import traceback
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from cellyard.artifacts.artifact import DefinitionStore, pack_group, store_packed, writing
from cellyard.artifacts.exceptions import chain_of
from cellyard.artifacts.store import Store
from cellyard.artifacts.tracebacks import Absent
from cellyard.errors import CannotTravel
from cellyard.worker.measuring import size_of
from cellyard.worker.standing import running

__all__ = ["Absent", "describe_frames", "describe_running"]

_MOST_FRAMES = 60
_MOST_BELOW = 20
"""Frames of each exception that another was raised from."""
_MOST_BYTES = 64 << 20
_MOST_TEXT = 1 << 20
_LONGEST = 200
_LITTLE = 1 << 16
"""Bytes of variables, or of sources, that a step at its limit of memory may tell."""
_PLAIN = {
    "builtins",
    "collections",
    "copyreg",
    "datetime",
    "decimal",
    "fractions",
    "numpy",
    "pandas",
    "pathlib",
    "uuid",
}
"""Modules whose values are pickled without anything of the user's."""
_Frame = tuple[types.FrameType, int]
_AT_HAND = (bool, int, float, complex, str, bytes, type(None))


def describe_frames(
    error: BaseException, namespace: dict[str, Any], store: Store, *, own: Mapping[str, Any] | None = None
) -> dict[str, Any] | None:
    """The frames from the cell to where the exception was raised: ``frames`` (file, line, name, and whether its names
    are those of the cell) and ``reference``, the artifact of their local variables and sources. ``below``: the frames
    of what it was raised from, by the way that leads there; their variables follow those of its own, in that order.
    None without any. ``own``: names of the cell that the notebook will not have; they travel with the cell's own
    frames."""
    found = list(_from_cell(traceback.walk_tb(error.__traceback__), namespace))[-_MOST_FRAMES:]
    if not found:
        return None
    below = {way: _caught(each, namespace) for way, each in chain_of(error).items()}
    together = [*found, *(frame for frames in below.values() for frame in frames)]
    reference = _store_variables(together, _Choice(namespace).of, namespace, store, _MOST_TEXT, own or {})

    def placed(frames: list[_Frame]) -> list[dict[str, Any]]:
        places = [_place(frame, line, namespace) for frame, line in frames]
        return places if own is None else [place | {"is_cell": False} for place in places]

    return {
        "frames": placed(found),
        "below": {way: placed(frames) for way, frames in below.items()},
        "reference": reference,
    }


def _caught(error: BaseException, namespace: Mapping[str, Any]) -> list[_Frame]:
    """The frames of one that was caught, perhaps by a library, whose frames then lead to no cell."""
    frames = list(traceback.walk_tb(error.__traceback__))
    return (list(_from_cell(frames, namespace)) or frames)[-_MOST_BELOW:]


def describe_running(
    namespace: dict[str, Any], store: Store, shown: Callable[[str], str | None]
) -> Iterator[dict[str, Any]]:
    """Where the cell is now, for another thread that must need little memory and time: first where that is alone, then
    also with variables that are small and plain. ``shown``: how a file that is a cell is called. Nothing outside of
    the cell."""
    found = list(_from_cell(running(), namespace))[-_MOST_FRAMES:]
    if not found:
        return
    texts = ({"text": linecache.getline(frame.f_code.co_filename, line).strip()} for frame, line in found)
    names = ({"shown": shown(frame.f_code.co_filename)} for frame, _ in found)
    places = [_place(*each, namespace) | text | name for each, text, name in zip(found, texts, names, strict=True)]
    yield {"frames": places, "reference": None}
    yield {"frames": places, "reference": _store_variables(found, _Plain().of, namespace, store, _LITTLE)}


def _store_variables(
    found: list[_Frame],
    chosen: Callable[[Mapping[str, Any]], dict[str, Any]],
    namespace: dict[str, Any],
    store: Store,
    most_text: int,
    own: Mapping[str, Any] = types.MappingProxyType({}),
) -> dict[str, Any]:
    travelling = [chosen(own if frame.f_locals is namespace else frame.f_locals) for frame, _ in found]
    values = {"frames": travelling, "sources": _sources(found, most_text)}
    with writing(store, namespace) as (batch, definitions):
        return store_packed(pack_group(values, namespace), values, batch, definitions).to_dict()


def _from_cell(frames: Iterable[_Frame], namespace: Mapping[str, Any]) -> Iterator[_Frame]:
    """From the cell's own on: what is before it is the shell's."""
    is_inside = False
    for frame, line in frames:
        is_inside = is_inside or frame.f_globals is namespace
        if is_inside:
            yield frame, line


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


class _Plain:
    """Which variables a step tells that has no memory left, while its cell goes on: nothing of the user's own is
    called."""

    def __init__(self) -> None:
        self._left = _LITTLE

    def of(self, names: Mapping[str, Any]) -> dict[str, Any]:
        """The variables of one frame, or what stands for them."""
        return {name: self._chosen(value) for name, value in dict(names).items()}

    def _chosen(self, value: Any) -> Any:
        size = size_of(value)
        absent = Absent(f"<{type(value).__name__} of {size:,} bytes: not kept when the memory was used up>")
        if size > self._left:
            return absent
        try:
            text = io.BytesIO()
            _PlainPickler(text, 5).dump(value)
            self._left -= text.tell()
            # Its own copy: the cell may go on changing it while it is stored.
            return pickle.loads(text.getbuffer())
        except Exception:  # noqa: BLE001 - it has something of the user's, or is changed this moment
            return absent


class _PlainPickler(pickle.Pickler):
    """Refuses what is not of plain types."""

    def reducer_override(self, value: Any) -> Any:
        kind = value if isinstance(value, type) else type(value)
        module = kind.__module__ if isinstance(value, type) else getattr(value, "__module__", None) or kind.__module__
        if str(module).partition(".")[0] not in _PLAIN:
            raise pickle.PicklingError(f"{kind.__name__} is not plain")
        return NotImplemented


def _shown(value: Any) -> str:
    try:
        return repr(value)[:_LONGEST]
    except Exception:  # noqa: BLE001 - of the user's own
        return type(value).__name__


def _sources(found: list[_Frame], left: int) -> dict[str, str]:
    """The texts of the files, for a kernel that does not have them."""
    texts: dict[str, str] = {}
    for file in {frame.f_code.co_filename for frame, _ in found}:
        text = "".join(linecache.getlines(file))
        if len(text) <= left:
            texts[file], left = text, left - len(text)
    return texts
