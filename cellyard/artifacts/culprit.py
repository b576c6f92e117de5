"""When a value cannot be pickled: which part of it is to blame, and why such a thing cannot travel."""

from __future__ import annotations

import io
import types
from collections.abc import Iterator, Mapping
from typing import Any

from cellyard.artifacts.pickler import is_packable
from cellyard.errors import CannotTravel

__all__ = ["cannot_travel"]

DEPTH = 6
_WIDTH = 200


def cannot_travel(values: Mapping[str, Any], namespace: dict[str, Any], error: Exception, where: str) -> CannotTravel:
    """The error for values that did not pickle, naming the variable and the path inside it. ``where``: on which way;
    nothing for what a step has made."""
    for name, value in values.items():
        if not is_packable(value, namespace):
            path, part = _find(name, value, namespace, DEPTH)
            reason, hint = _reason(part, error, option="--in" if where else "--out")
            inside = "" if path == name else f"its part {path} ({_kind(part)}) is to blame: "
            return CannotTravel(name=name, type=_kind(value), reason=inside + reason, hint=hint, where=where, path=path)
    name = next(iter(values), "?")
    return CannotTravel(name=name, type=_kind(values.get(name)), reason=str(error), hint="", where=where, path=name)


def _find(path: str, value: Any, namespace: dict[str, Any], depth: int) -> tuple[str, Any]:
    if depth:
        for step, part in _parts(value):
            if not is_packable(part, namespace):
                return _find(path + step, part, namespace, depth - 1)
    return path, value


def _parts(value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        yield from ((f"[{key!r}]", part) for key, part in list(value.items())[:_WIDTH])
    elif isinstance(value, list | tuple | set | frozenset):
        yield from ((f"[{index}]", part) for index, part in enumerate(list(value)[:_WIDTH]))
    elif isinstance(value, types.FunctionType):
        names = value.__code__.co_freevars
        yield from ((f".<closure {n}>", c.cell_contents) for n, c in zip(names, value.__closure__ or (), strict=False))
    else:
        yield from ((f".{name}", part) for name, part in _attributes(value).items())


def _attributes(value: Any) -> dict[str, Any]:
    slots = (name for kind in type(value).__mro__ for name in _slots(kind))
    found = {name: getattr(value, name) for name in slots if hasattr(value, name)}
    found |= dict(list(getattr(value, "__dict__", {}).items())[:_WIDTH])
    return found


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _kind(value: Any) -> str:
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def _reason(part: Any, error: Exception, option: str) -> tuple[str, str]:
    if isinstance(part, types.GeneratorType | types.AsyncGeneratorType | types.CoroutineType):
        return (
            "a generator's position exists only in its own process.",
            "Make a list of it, or create it in the step.",
        )
    if isinstance(part, io.IOBase):
        return "an open file belongs to the process that opened it.", "Open it in the step that uses it."
    family = _kind(part)
    if "lock" in family.lower() or family.startswith(("threading.", "_thread.")):
        return "locks and threads belong to one process.", "Create it in the step that uses it."
    if family.startswith(("socket.", "ssl.", "sqlite3.")) or "onnection" in family:
        return "a connection belongs to the process that opened it.", "Connect in the step that uses it."
    return f"{str(error).removesuffix('.')}.", f"Leave it out with {option}, or create it in the step that uses it."
