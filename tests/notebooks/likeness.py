"""A namespace as a value that is equal for namespaces alike in types, values and identities. Runs inside kernels."""

from __future__ import annotations

import datetime
import decimal
import enum
import functools
import logging
import pathlib
import re
import sys
import types
import typing
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from cellyard.artifacts.process_objects import is_of_process, place_here
from cellyard.artifacts.standard import proxied

__all__ = ["likeness"]

#: What Python itself puts into a class, partly when the first instance is pickled.
_OF_PYTHON = {"__dict__", "__weakref__", "__module__", "__doc__", "__slotnames__", "_abc_impl", "__firstlineno__"}
_OF_LIBRARIES = ("__pydantic_", "__attrs_", "__dataclass_", "__annotations__")
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")


def likeness(namespace: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """What each name is bound to. Every object that can change has a number, given where it is first met: so two
    names, or an element and a name, have the same number exactly where they are one object."""
    wanted = {name: namespace[name] for name in sorted(names) if name in namespace}
    for value in [*wanted.values(), *namespace.get("Out", {}).values()]:
        if type(value).__name__ == "StandIn":
            _ = value.__wrapped__  # fetched, it takes the place of every name of its group
    return _Reader(namespace).read({name: namespace[name] for name in wanted})


class _Reader:
    def __init__(self, namespace: Mapping[str, Any]) -> None:
        self._namespace = namespace
        self._numbers: dict[int, int] = {}
        self._memories: dict[int, tuple[int, int]] = {}
        self._kept: list[Any] = []  # ids and addresses stay unique only while the objects live

    def read(self, values: Mapping[str, Any]) -> dict[str, Any]:
        return {name: self._of(value) for name, value in values.items()}

    def _of(self, value: Any) -> Any:
        kind = type(value)
        if kind in _PLAIN:
            return (kind.__name__, repr(value))
        if kind in weakref.ProxyTypes:  # of which nothing else may be asked, once its object has gone
            return ("proxy", *map(self._of, proxied(value)))
        if kind is weakref.ref:
            return ("reference", self._of(value()))
        if kind in (tuple, frozenset):
            parts = [self._of(each) for each in value]
            return (kind.__name__, parts if kind is tuple else sorted(parts, key=repr))
        if kind is types.ModuleType:
            return ("module", value.__name__)
        if isinstance(value, type) and value.__module__ != "__main__":
            return ("class", value.__module__, value.__qualname__)
        if is_of_process(kind) or (kind is types.MethodType and is_of_process(type(value.__self__))):
            return ("of the process", place_here(value))
        if _is_unchanging(value):
            return (kind.__module__, kind.__qualname__, _text(value))
        if id(value) in self._numbers:
            return ("again", self._numbers[id(value)])
        self._numbers[id(value)] = len(self._numbers)
        self._kept.append(value)
        return (self._numbers[id(value)], *self._content(value))

    def _content(self, value: Any) -> tuple[Any, ...]:
        kind = type(value)
        if kind in _BY_TYPE:
            return _BY_TYPE[kind](self, value)
        if isinstance(value, type):
            own = {name: each for name, each in vars(value).items() if not _is_of_python(name)}
            if hasattr(value, "__attrs_attrs__"):  # its methods hold what attrs has made of the class
                own = {name: type(each).__name__ for name, each in own.items()}
            return ("class", value.__qualname__, [self._of(base) for base in value.__bases__], self._ordered(own))
        if isinstance(value, enum.Enum):
            return ("member", self._of(kind), value._name_)
        root = (kind.__module__ or "").partition(".")[0]
        if root in _OF_LIBRARY:
            return _OF_LIBRARY[root](self, value)
        if isinstance(value, BaseException):
            more = self._ordered({key: each for key, each in vars(value).items() if not key.startswith("_render")})
            return ("exception", self._of(kind), self._of(value.args), more)
        return self._instance(value)

    def _instance(self, value: Any) -> tuple[Any, ...]:
        kind = type(value)
        inside = [self._of(each) for each in value] if isinstance(value, list | tuple) else ()
        if isinstance(value, dict):
            inside = [(self._of(key), self._of(each)) for key, each in value.items()]
        slots = [name for base in kind.__mro__ for name in _slots_of(base) if hasattr(value, name)]
        slots = [name for name in slots if name not in _OF_PYTHON]
        held = {**{name: getattr(value, name) for name in slots}, **getattr(value, "__dict__", {})}
        text = "" if held or inside else _text(value)
        return ("instance", self._of(kind), inside, self._ordered(held), text)

    def _list(self, value: list[Any]) -> tuple[Any, ...]:
        return ("list", [self._of(each) for each in value])

    def _dict(self, value: dict[Any, Any]) -> tuple[Any, ...]:
        return ("dict", [(self._of(key), self._of(each)) for key, each in value.items()])

    def _set(self, value: set[Any]) -> tuple[Any, ...]:
        return ("set", sorted(_text(each) for each in value))

    def _cell(self, value: Any) -> tuple[Any, ...]:
        try:
            return ("cell", self._of(value.cell_contents))
        except ValueError:
            return ("cell",)

    def _wrapper(self, value: Any) -> tuple[Any, ...]:
        names = ("__func__", "fget", "fset", "fdel", "func", "args", "keywords", "__wrapped__", "__self__")
        parts = [self._of(getattr(value, name)) for name in names if getattr(value, name, None) is not None]
        return (type(value).__name__, parts)

    def _numpy(self, value: Any) -> tuple[Any, ...]:
        if not hasattr(value, "dtype") or not hasattr(value, "tolist"):
            return ("of numpy", type(value).__name__, _text(value))
        if not hasattr(value, "ctypes"):
            return ("scalar", str(value.dtype), repr(value))
        flags = (value.flags.writeable, value.flags.c_contiguous, value.flags.f_contiguous)
        elements = [self._of(each) for each in value.ravel()] if value.dtype.hasobject else repr(value.tolist())
        return ("array", type(value).__name__, str(value.dtype), value.shape, elements, flags, *self._memory(value))

    def _memory(self, array: Any) -> tuple[int, int]:
        """The number of the memory that an array shows, and where in it, counted from the first array that shows it.
        What nothing but the base of a lone view holds does not travel."""
        owner = array
        while type(owner.base) is type(array):
            owner = owner.base
        self._kept.append(owner)
        begins = array.ctypes.data
        number, first = self._memories.setdefault(owner.ctypes.data, (len(self._memories), begins))
        return number, begins - first

    def _torch(self, value: Any) -> tuple[Any, ...]:
        """A tensor: what it is, its elements, which memory it shows and where, its gradient and own attributes. One
        that was computed from others that require gradients is known by its value: its graph does not travel."""
        torch = sys.modules["torch"]
        if isinstance(value, torch.Generator):
            return ("generator", value.get_state().tolist())
        if not isinstance(value, torch.Tensor) or value.layout is not torch.strided:
            return self._instance(value) if hasattr(value, "__dict__") else self._opaque(value)
        storage = value.untyped_storage()
        self._kept.append(storage)
        memory = None
        if storage.nbytes():
            memory, _ = self._memories.setdefault(storage.data_ptr(), (len(self._memories), 0))
        place = (memory, storage.nbytes(), value.storage_offset(), value.stride())
        gradient = self._of(value.grad if value.is_leaf else None)
        kept = (value.requires_grad and value.is_leaf, self._ordered(vars(value)), gradient)
        return (
            "tensor",
            self._of(type(value)),
            str(value.dtype),
            tuple(value.shape),
            repr(value.tolist()),
            place,
            kept,
        )

    def _pandas(self, value: Any) -> tuple[Any, ...]:
        kind = type(value).__qualname__
        if kind == "DataFrame":
            columns = [self._pandas(value.iloc[:, at]) for at in range(value.shape[1])]
            return (kind, self._pandas(value.columns), self._pandas(value.index), columns, repr(value.attrs))
        if kind == "Series":
            held = [self._of(each) for each in value] if value.dtype == object else repr(value.tolist())
            return (kind, repr(value.name), str(value.dtype), self._pandas(value.index), held, repr(value.attrs))
        if hasattr(value, "names") and hasattr(value, "dtype"):
            return (kind, repr(list(value.names)), str(value.dtype), repr(value.tolist()))
        return (kind, _text(value))

    def _opaque(self, value: Any) -> tuple[Any, ...]:
        """Of libraries whose insides hold caches and ids: what it is and what it shows."""
        return (type(value).__module__, type(value).__qualname__, _text(value))

    def _function(self, value: types.FunctionType) -> tuple[Any, ...]:
        code = value.__code__
        closure = [self._of(cell) for cell in value.__closure__ or ()]
        home = "notebook" if value.__globals__ is self._namespace else "elsewhere"
        parts = (code.co_code.hex(), code.co_names, code.co_varnames, value.__qualname__, value.__module__, home)
        defaults = (self._of(value.__defaults__), self._of(value.__kwdefaults__))
        notes = [(name, self._of(each)) for name, each in value.__annotations__.items()], repr(value.__doc__)
        return ("function", *parts, *defaults, closure, self._ordered(value.__dict__), *notes)

    def _ordered(self, values: Mapping[str, Any]) -> list[Any]:
        return [(name, self._of(values[name])) for name in sorted(values)]


def _is_unchanging(value: Any) -> bool:
    """Objects of libraries that never change: which of two equal ones a name has, nobody can see from a change."""
    kind = type(value)
    root = (kind.__module__ or "").partition(".")[0]
    if root in {"pyarrow", "typing"} or kind is types.GenericAlias:
        return not isinstance(value, typing.TypeVar)
    if isinstance(value, datetime.date | datetime.timedelta | decimal.Decimal | pathlib.PurePath):
        return True
    names = {base.__name__ for base in kind.__mro__}
    unchanging = {"generic", "dtype", "Index", "ExtensionDtype", "Expr", "device", "layout", "Size"}
    return root in {"numpy", "pandas", "polars", "torch"} and bool(names & unchanging)


def _text(value: Any) -> str:
    try:
        return _ADDRESS.sub("0x", repr(value))
    except Exception as error:  # noqa: BLE001 - a cell's own class may do anything
        return f"shows {type(error).__name__}"


def _is_of_python(name: str) -> bool:
    return name in _OF_PYTHON or name.startswith(_OF_LIBRARIES)


def _slots_of(kind: type) -> tuple[str, ...]:
    slots = vars(kind).get("__slots__", ())
    named = (slots,) if isinstance(slots, str) else tuple(slots)
    own = kind.__name__.lstrip("_")
    return tuple(f"_{own}{name}" if name.startswith("__") and not name.endswith("__") else name for name in named)


_Rule = Callable[[_Reader, Any], tuple[Any, ...]]
_BY_TYPE: dict[type, _Rule] = {
    list: _Reader._list,
    dict: _Reader._dict,
    set: _Reader._set,
    types.FunctionType: _Reader._function,
    types.CellType: _Reader._cell,
    weakref.WeakKeyDictionary: _Reader._opaque,
    logging.Logger: _Reader._opaque,
    re.Match: _Reader._opaque,
    property: _Reader._wrapper,
    staticmethod: _Reader._wrapper,
    classmethod: _Reader._wrapper,
    types.MethodType: _Reader._wrapper,
    functools.partial: _Reader._wrapper,
    functools.cached_property: _Reader._wrapper,
    functools._lru_cache_wrapper: _Reader._wrapper,
}
_OF_LIBRARY: dict[str, _Rule] = {
    "numpy": _Reader._numpy,
    "pandas": _Reader._pandas,
    "torch": _Reader._torch,
    **dict.fromkeys(
        ("matplotlib", "polars", "pyarrow", "scipy", "sklearn", "statsmodels", "lightgbm", "sympy", "networkx"),
        _Reader._opaque,
    ),
    **dict.fromkeys(("plotly", "PIL", "IPython", "asyncio", "tqdm", "rich", "ipywidgets", "pydantic"), _Reader._opaque),
}
