"""Objects that have one place where they are found: functions of the notebook's classes, and what exists once in a
library (the sentinel that means "missing"). They travel as that place, so that they stay the very objects they are.
"""

from __future__ import annotations

import sys
import types
from typing import Any

from cellyard.artifacts.definitions import is_definition

__all__ = ["class_around", "find_member", "find_only", "member_of", "reference_to"]

_PARTS = ("__func__", "fget", "fset", "fdel")
#: Of each type, its objects that its module has as globals, by id.
_ONLY: dict[type, dict[int, str]] = {}


def class_around(function: Any, namespace: dict[str, Any]) -> type | None:
    """The class of the notebook that a function was written in, while the notebook has it."""
    first, *inner = function.__qualname__.split(".")[:-1] or [""]
    found = namespace.get(first)
    for name in inner:
        found = vars(found).get(name) if isinstance(found, type) else None
    return found if isinstance(found, type) and is_definition(found) else None


def member_of(cls: type | None, function: Any) -> tuple[type, str, str] | None:
    """Class, attribute and part by which :func:`find_member` finds the function; None where it is not there."""
    held = None if cls is None else vars(cls).get(function.__name__)
    if cls is None or held is None:
        return None
    if held is function:
        return cls, function.__name__, ""
    part = next((part for part in _PARTS if getattr(held, part, None) is function), None)
    return None if part is None else (cls, function.__name__, part)


def find_member(cls: type, name: str, part: str) -> Any:
    """The function that :func:`member_of` has found."""
    held = vars(cls)[name]
    return getattr(held, part) if part else held


def reference_to(obj: Any, kind: type) -> Any:
    """A reduction for an object without contents that its library has as a global; else NotImplemented."""
    known = _ONLY.get(kind)
    if known is None:
        known = _ONLY[kind] = _globals_of(kind)
    name = known.get(id(obj))
    return NotImplemented if name is None else (find_only, (kind.__module__, name))


def _globals_of(kind: type) -> dict[int, str]:
    home = sys.modules.get(kind.__module__)
    if not isinstance(home, types.ModuleType) or kind.__module__ in {"__main__", "builtins"}:
        return {}
    slots = any(vars(each).get("__slots__") for each in kind.__mro__)
    if slots or kind.__basicsize__ > object.__basicsize__ + 2 * _WORD or kind.__itemsize__:
        return {}
    found = [(name, value) for name, value in vars(home).items() if type(value) is kind]
    return {id(value): name for name, value in found if not getattr(value, "__dict__", None)}


_WORD = object.__basicsize__ // 2


def find_only(module: str, name: str) -> Any:
    """That global of the library."""
    __import__(module)
    return getattr(sys.modules[module], name)
