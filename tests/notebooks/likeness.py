"""A namespace as a value that is equal for namespaces alike in types, values and identities. Runs inside kernels."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from typing import Any

__all__ = ["likeness"]

#: What Python itself puts into a class, partly when the first instance is pickled.
_OF_PYTHON = {"__dict__", "__weakref__", "__module__", "__doc__", "__slotnames__"}
_PLAIN = (type(None), bool, int, float, complex, str, bytes)


def likeness(namespace: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What each name is bound to. Every object that can change has a number, given where it is first met: so two
    names, or an element and a name, have the same number exactly where they are one object."""
    return _Reader(namespace).read({name: namespace[name] for name in sorted(names) if name in namespace})


class _Reader:
    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[int, int] = {}
        self._memories: dict[int, int] = {}
        self._kept: list[Any] = []  # ids and addresses stay unique only while the objects live

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._of(value) for name, value in values.items()}

    def _of(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return (kind.__name__, repr(value))
        if kind in (tuple, frozenset):
            return (kind.__name__, [self._of(each) for each in value])
        if kind is types.ModuleType:
            return ("module", value.__name__)
        if isinstance(value, type) and value.__module__ != "__main__":
            return ("class", value.__module__, value.__qualname__)
        if id(value) in self._numbers:
            return ("again", self._numbers[id(value)])
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return (self._numbers[id(value)], *self._content(value))

    def _content(self, value: Any) -> tuple[Any, ...]:
        kind = type(value)
        if kind is list:
            return ("list", [self._of(each) for each in value])
        if kind is dict:
            return ("dict", [(self._of(key), self._of(each)) for key, each in value.items()])
        if kind is set:
            return ("set", sorted(map(repr, value)))
        if isinstance(value, types.FunctionType):
            return self._function(value)
        if isinstance(value, type):
            own = {name: each for name, each in vars(value).items() if name not in _OF_PYTHON}
            return ("class", value.__qualname__, [self._of(base) for base in value.__bases__], self._ordered(own))
        if kind.__module__ == "numpy":
            return ("array", str(value.dtype), value.tolist(), *self._memory(value))
        if isinstance(value, BaseException):
            return ("exception", kind.__qualname__, repr(value.args))
        if kind is types.CellType:
            return ("cell", self._of(value.cell_contents))
        return ("instance", self._of(kind), self._ordered(vars(value)) if hasattr(value, "__dict__") else repr(value))

    def _memory(self, array: Any) -> tuple[int, int]:
        """The number of the memory that an array shows, and how far in it begins."""
        owner = array
        while type(owner.base) is type(array):
            owner = owner.base
        self._kept.append(owner)
        return self._memories.setdefault(owner.ctypes.data, len(self._memories)), array.ctypes.data - owner.ctypes.data

    def _function(self, value: types.FunctionType) -> tuple[Any, ...]:
        code = value.__code__
        closure = [self._of(cell) for cell in value.__closure__ or ()]
        home = "notebook" if value.__globals__ is self._namespace else "elsewhere"
        parts = (code.co_code.hex(), code.co_names, code.co_varnames, value.__qualname__, value.__module__, home)
        return ("function", *parts, self._of(value.__defaults__), closure, self._ordered(value.__dict__))

    def _ordered(self, values: Mapping[str, Any]) -> list[Any]:
        return [(name, self._of(values[name])) for name in sorted(values)]
