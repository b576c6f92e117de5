"""Measuring: the largest objects of a running step, by the names that lead to them.

Looked at from another thread while the cell runs. Nothing of the user's own is called: sizes are read from what the
interpreter and the known libraries keep of their objects.
"""

from __future__ import annotations

import sys
import threading
import types
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from cellyard.artifacts.kinds import package_of

__all__ = ["MOST", "largest_objects", "size_of"]

MOST = 8
SMALLEST = 1 << 20
"""Bytes below which an object explains nothing."""
_SAMPLE = 60
_DEPTH = 4
_FRAMES = 40
_OWN = {"In", "Out", "exit", "quit", "get_ipython"}
"""What the shell has bound, some of which leads to the shell itself."""
_UNMEASURED = (types.ModuleType, types.FunctionType, type, types.BuiltinFunctionType)


def largest_objects(namespace: Mapping[str, Any], frame: types.FrameType | None = None) -> list[dict[str, Any]]:
    """The largest of the namespace and of what the cell's functions are working on: name, type, bytes, and where (the
    function, empty for the namespace), the largest first. ``frame``: where the cell is, if not the main thread's."""
    found: dict[int, dict[str, Any]] = {}
    for where, names in _scopes(namespace, frame):
        for name, value in names.items():
            if name.startswith("_") or name in _OWN or isinstance(value, _UNMEASURED) or id(value) in found:
                continue
            size = size_of(value)
            if size >= SMALLEST:
                found[id(value)] = {"name": name, "type": type(value).__name__, "bytes": size, "where": where}
    return sorted(found.values(), key=lambda each: -int(each["bytes"]))[:MOST]


def _scopes(namespace: Mapping[str, Any], frame: types.FrameType | None) -> Iterator[tuple[str, Mapping[str, Any]]]:
    yield "", dict(namespace)
    frame = frame or sys._current_frames().get(threading.main_thread().ident or 0)
    found: list[types.FrameType] = []
    while frame is not None and not (frame.f_globals is namespace and frame.f_code.co_name == "<module>"):
        found.append(frame)
        frame = frame.f_back
    if frame is None:  # the cell runs elsewhere, or has ended: these frames are our own
        return
    for each in found[:_FRAMES]:
        if each.f_locals is not namespace:
            yield f"{each.f_code.co_name}()", dict(each.f_locals)


def size_of(value: Any, depth: int = _DEPTH) -> int:
    """Bytes that the value holds, estimated: of long containers some items are looked at."""
    try:
        return _known_size(value) or _size_of_parts(value, depth)
    except Exception:  # noqa: BLE001 - the cell goes on changing it, and any library may refuse
        return 0


def _known_size(value: Any) -> int:
    """Of arrays, frames and tensors."""
    package = package_of(type(value))
    if package == "numpy":
        base = getattr(value, "base", None)
        return int(getattr(value if base is None or not hasattr(base, "nbytes") else base, "nbytes", 0))
    if package == "pandas" and hasattr(value, "memory_usage"):
        usage = value.memory_usage(deep=False)
        return int(usage if isinstance(usage, int) else usage.sum())
    if package == "polars" and hasattr(value, "estimated_size"):
        return int(value.estimated_size())
    if package == "pyarrow":
        return int(getattr(value, "nbytes", 0))
    if package == "torch" and hasattr(value, "element_size"):
        return int(value.element_size() * value.nelement())
    return 0


def _size_of_parts(value: Any, depth: int) -> int:
    size = sys.getsizeof(value, 0)
    if depth <= 0:
        return size
    if type(value) is dict:
        pairs = list(islice(value.items(), _SAMPLE))
        return size + _scaled([size_of(k, depth - 1) + size_of(v, depth - 1) for k, v in pairs], len(value))
    if type(value) in (list, tuple, set, frozenset):
        items = list(islice(value, _SAMPLE))
        return size + _scaled([size_of(each, depth - 1) for each in items], len(value))
    held = getattr(value, "__dict__", None)
    if type(held) is dict:
        return size + sum(size_of(each, depth - 1) for each in list(held.values())[:_SAMPLE])
    return size


def _scaled(sizes: list[int], count: int) -> int:
    return sum(sizes) * count // len(sizes) if sizes else 0
