"""Figures, their parts, and pens: what libraries that draw leave behind when they are pickled, or cut off.

plotly turns arrays into texts, and cuts a trace off from its figure; a colour bar of matplotlib no longer follows its
picture; Pillow's pen does not pickle, and a picture of several frames becomes one of them.
"""

from __future__ import annotations

import contextlib
import copyreg
import importlib
import io
import itertools
import types
from collections.abc import Sequence
from typing import Any

from cellyard.artifacts.kinds import package_of

__all__ = ["drawn_reduce"]


def drawn_reduce(obj: Any, kind: type) -> Any:
    """The reduction of an object of these libraries, else NotImplemented."""
    match package_of(kind):
        case "plotly":
            return _plotly_reduce(obj, kind)
        case "matplotlib" if kind.__name__ == "CallbackRegistry":
            _keep_callbacks(obj)
            return copyreg.__newobj__, (kind,), _numbered_as_before(obj)  # type: ignore[attr-defined]
        case "PIL" if kind.__name__ == "ImageDraw":
            return _pen, (kind, obj._image, obj.mode), {name: vars(obj)[name] for name in _OF_PEN if name in vars(obj)}
        case "PIL" if "_fp" in getattr(obj, "__dict__", ()):
            return _frames_reduce(obj, kind)
    return NotImplemented


def _plotly_reduce(obj: Any, kind: type) -> Any:
    names = {base.__name__ for base in kind.__mro__}
    if "BaseFigure" in names and "BaseFigureWidget" not in names:
        frames = [frame._props for frame in obj._frame_objs]
        props = {"data": obj._data, "layout": obj._layout, "_grid_str": obj._grid_str, "_grid_ref": obj._grid_ref}
        return kind, (props | ({"frames": frames} if frames else {}),)
    if "BasePlotlyType" in names and (parent := obj.parent) is not None:
        place = _place_in(parent, obj)
        return NotImplemented if place is None else (_part, (parent, place))
    return NotImplemented


def _place_in(parent: Any, part: Any) -> tuple[str, int | None] | None:
    """By which name, and number among those of that name, a figure or a part of one has another part."""
    for name in ("data", "layout", "frames", part._plotly_name):
        try:
            held = parent[name]
        except (KeyError, ValueError):
            continue
        if held is part:
            return name, None
        if isinstance(held, Sequence):
            at = next((at for at, each in enumerate(held) if each is part), None)
            if at is not None:
                return name, at
    return None


def _part(parent: Any, place: tuple[str, int | None]) -> Any:
    name, at = place
    return parent[name] if at is None else parent[name][at]


def _frames_reduce(image: Any, kind: type) -> Any:
    """A picture of several frames, which stays open: by its file, or the bytes that it is read from."""
    file, state = image._fp, image.__getstate__()
    if type(file).__name__ == "DeferredError" or file.closed:  # by the picture, or by who gave it
        return NotImplemented
    source = file.getvalue() if type(file) is io.BytesIO else image.filename
    if not source:
        return NotImplemented
    has_several = getattr(image, "is_animated", False)
    if image.tobytes() != state[4]:  # to find that out it went to the next frame and back, and was painted on
        image.frombytes(state[4])
    return (rebuild_frames, (kind, source, image.tell(), state)) if has_several else NotImplemented


def rebuild_frames(kind: Any, source: str | bytes, frame: int, state: list[Any]) -> Any:
    """The picture at that frame; that frame alone where its file is no longer what it was."""
    library: Any = importlib.import_module("PIL.Image")
    info, mode, size, _, data = state[:5]
    with contextlib.suppress(OSError, EOFError):
        image = library.open(io.BytesIO(source) if isinstance(source, bytes) else source)
        image.seek(frame)
        if type(image) is kind and (image.mode, image.size) == (mode, size):
            if image.tobytes() != data:  # it was painted on
                image.frombytes(data)
            image.info.update(info)
            return image
    alone = kind.__new__(kind)
    alone.__setstate__(state)
    return alone


_CHANGED = "changed"
_OF_PEN = ("ink", "fill", "fontmode", "font", "palette")


def _pen(kind: Any, image: Any, mode: str) -> Any:
    return kind(image, mode)


def _numbered_as_before(registry: Any) -> dict[str, Any]:
    """Its state, for which it has given a number away that the next callback of the notebook is to have."""
    state: dict[str, Any] = registry.__getstate__()
    registry._cid_gen = itertools.count(state["_cid_gen"])
    return state


def _keep_callbacks(registry: Any) -> None:
    """Those by which a picture follows its norm, and a colour bar its picture, and the notebook's own functions, are of
    the figure, and pickle with it. All others belong to a window."""
    for signal, callbacks in registry.callbacks.items():
        for number, reference in callbacks.items():
            function = reference()
            is_own = type(function) is types.FunctionType and function.__module__ == "__main__"
            if is_own or (signal == _CHANGED and function is not None):
                registry._pickled_cids.add(number)
