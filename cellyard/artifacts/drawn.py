"""Figures, their parts, and pens: what libraries that draw leave behind when they are pickled, or cut off.

plotly turns arrays into texts, and cuts a trace off from its figure; a colour bar of matplotlib no longer follows its
picture; Pillow's pen does not pickle.
"""

from __future__ import annotations

import copyreg
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
