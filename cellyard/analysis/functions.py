"""Which notebook names live functions, methods, classes and instances use.

Reads code objects and never runs anything of the user's: no descriptor, no ``__getattr__``, no stand-in's fetch.
"""

from __future__ import annotations

import builtins
import functools
import types
from collections.abc import Callable, Iterable, Iterator, Mapping
from dis import opmap
from itertools import islice
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

__all__ = ["GlobalUse", "globals_used_by", "names_used_by", "parts_of", "reachable_names"]


class GlobalUse(NamedTuple):
    """The global names that code loads, and those that it binds or unbinds."""

    loads: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()


_EXTENDED_ARG = opmap["EXTENDED_ARG"]
_LOADS = {opmap[name] for name in ("LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS") if name in opmap}
_LOAD_GLOBAL = opmap["LOAD_GLOBAL"]
_STORES = {opmap[name] for name in ("STORE_GLOBAL", "DELETE_GLOBAL")}
_BUILTINS = frozenset(dir(builtins))

_uses: WeakKeyDictionary[types.CodeType, GlobalUse] = WeakKeyDictionary()

# A value may hold functions deep inside; these many objects are looked at, at most, for one value.
_LOOK_AT_MOST = 200
_LEAVES = frozenset({str, bytes, int, float, complex, bool, type(None), bytearray, types.ModuleType})

_stand_ins: WeakKeyDictionary[type, bool] = WeakKeyDictionary()


def code_use(code: types.CodeType) -> GlobalUse:
    """The global names that a code object and those nested in it use. Kept for as long as the code lives."""
    found = _uses.get(code)
    if found is None:
        found = _uses[code] = _read_code(code)
    return found


def _read_code(code: types.CodeType) -> GlobalUse:
    loads: set[str] = set()
    stores: set[str] = set()
    raw, names = code.co_code, code.co_names
    extended = 0
    for position in range(0, len(raw), 2):
        operation = raw[position]
        argument = raw[position + 1] | extended
        extended = argument << 8 if operation == _EXTENDED_ARG else 0
        if operation == _LOAD_GLOBAL:
            loads.add(names[argument >> 1])
        elif operation in _LOADS:
            loads.add(names[argument])
        elif operation in _STORES:
            stores.add(names[argument])
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            inner = code_use(constant)
            loads |= inner.loads
            stores |= inner.stores
    return GlobalUse(frozenset(loads), frozenset(stores))


def names_used_by(value: object, namespace: Mapping[str, object] | None = None) -> frozenset[str]:
    """The global names that the code of ``value`` loads, binds or unbinds; builtins only where shadowed.

    ``value`` may be a function, method, class, property, ``partial``, ``lru_cache`` wrapper or anything holding
    such. Functions in closures, defaults, wrappers, class members and bases count too. With ``namespace``, only
    code whose globals are that very namespace counts: a library's functions use the library's names, not the
    notebook's.
    """
    use = globals_used_by(value, namespace)
    return use.loads | use.stores


def globals_used_by(value: object, namespace: Mapping[str, object] | None = None) -> GlobalUse:
    """As :func:`names_used_by`, with loads and stores apart."""
    home = _home_of(value) if namespace is None else namespace.get("__name__", "__main__")
    return _use_of(parts_of(value, home), namespace)


def _use_of(parts: Iterable[object], namespace: Mapping[str, object] | None) -> GlobalUse:
    loads: set[str] = set()
    stores: set[str] = set()
    for part in parts:
        if type(part) is types.FunctionType and (namespace is None or part.__globals__ is namespace):
            found = code_use(part.__code__)
            own = part.__globals__
            loads.update(name for name in found.loads if name not in _BUILTINS or name in own)
            stores |= found.stores
    return GlobalUse(frozenset(loads), frozenset(stores))


def _home_of(value: object) -> object:
    return getattr(value if issubclass(type(value), type) else type(value), "__module__", None)


def reachable_names(names: Iterable[str], namespace: Mapping[str, object]) -> frozenset[str]:
    """``names`` and all names that what they are bound to needs in turn, as far as ``namespace`` has them.

    Follows the notebook's functions and classes, and instances of its classes: those whose ``__module__`` is the
    namespace's ``__name__``. Values are looked into, but only so far (a list of a million values is not walked):
    whoever pickles a value must pass the classes and functions that it meets to :func:`names_used_by`.
    """
    home = namespace.get("__name__", "__main__")
    found: set[str] = set()
    todo = [name for name in names if name in namespace]
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            value = namespace[name]
            if type(value) not in _LEAVES:
                todo.extend(_needed_by(value, home, namespace))
    return frozenset(found)


def _needed_by(value: object, home: object, namespace: Mapping[str, object]) -> Iterator[str]:
    parts = list(parts_of(value, home))
    loads, stores = _use_of(parts, namespace)
    for name in loads | stores:
        if name in namespace:
            yield name
    for part in parts:
        if issubclass(type(part), type):
            name = part.__name__  # type: ignore[attr-defined]
            if namespace.get(name) is part:
                yield name


def parts_of(value: object, home: object = "__main__") -> Iterator[object]:
    """``value`` and what it visibly holds: the first few hundred objects, of any depth.

    Classes of the module ``home`` count, and are entered; other classes only when they are ``value`` itself.
    """
    seen: set[int] = set()
    todo: list[object] = [value]
    while todo and len(seen) < _LOOK_AT_MOST:
        part = todo.pop()
        cls = type(part)
        if cls in _LEAVES or id(part) in seen or _stands_in(cls):
            continue
        if issubclass(cls, type) and part is not value and part.__module__ != home:
            continue
        seen.add(id(part))
        yield part
        reader = _HOLDERS.get(cls)
        if reader is not None:
            todo.extend(reader(part))
        else:
            todo.extend(_of_class(part) if issubclass(cls, type) else _of_instance(part, home))


def _stands_in(cls: type) -> bool:
    """Whether instances claim another class than their own: touching one may fetch or compute what it is for."""
    found = _stand_ins.get(cls)
    if found is None:
        found = any("__class__" in one.__dict__ for one in cls.__mro__[:-1])
        _stand_ins[cls] = found
    return found


def _of_function(part: Any) -> list[object]:
    found: list[object] = [*(part.__defaults__ or ()), *(part.__kwdefaults__ or {}).values()]
    found.extend(part.__dict__.values())
    for cell in part.__closure__ or ():
        try:
            found.append(cell.cell_contents)
        except ValueError:
            # A closure variable that is not bound yet holds nothing.
            continue
    return found


def _of_class(part: Any) -> list[object]:
    return [*part.__dict__.values(), *part.__bases__, type(part)]


def _of_instance(part: object, home: object) -> list[object]:
    cls = type(part)
    found: list[object] = []
    for kind, contents in _CONTENTS.items():
        if issubclass(cls, kind):
            found.extend(_first(contents(part)))
    if cls.__dictoffset__:
        attributes = object.__getattribute__(part, "__dict__")
        if type(attributes) is dict:
            found.extend(_first(attributes.values()))
    found.extend(one for one in cls.__mro__ if one.__module__ == home)
    return found


def _first(values: Iterable[object]) -> list[object]:
    found: list[object] = []
    try:
        for value in islice(values, _LOOK_AT_MOST):
            if type(value) not in _LEAVES:
                found.append(value)
    except RuntimeError:
        # Another thread changes the container meanwhile: what has been seen counts.
        return found
    return found


_CONTENTS: dict[type, Callable[[Any], Iterable[object]]] = {
    list: list.__iter__,
    tuple: tuple.__iter__,
    set: set.__iter__,
    frozenset: frozenset.__iter__,
    dict: dict.values,
}
"""How to look into containers without running what a subclass makes of it."""


_HOLDERS: dict[type, Callable[[Any], list[object]]] = {
    types.FunctionType: _of_function,
    types.MethodType: lambda part: [part.__func__, part.__self__],
    types.BuiltinMethodType: lambda part: [part.__self__],
    functools.partial: lambda part: [part.func, *part.args, *part.keywords.values()],
    functools.partialmethod: lambda part: [part.func, *part.args, *part.keywords.values()],
    functools.cached_property: lambda part: [part.func],
    functools._lru_cache_wrapper: lambda part: [part.__wrapped__],
    property: lambda part: [one for one in (part.fget, part.fset, part.fdel) if one is not None],
    staticmethod: lambda part: [part.__func__],
    classmethod: lambda part: [part.__func__],
    list: _first,
    tuple: _first,
    set: _first,
    frozenset: _first,
    dict: lambda part: _first(part.values()),
}
