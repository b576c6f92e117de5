"""Objects of Python itself that are made again where they arrive: matches, variables of types, read-only views."""

from __future__ import annotations

import contextvars
import functools
import gc
import pickle
import re
import struct
import types
import typing
import weakref
from collections.abc import Callable
from typing import Any

import cloudpickle

from cellyard.artifacts.context_variables import context_variable_reduce
from cellyard.artifacts.iterators import OF_ITERATORS
from cellyard.artifacts.named import named_type_reduce
from cellyard.artifacts.standard import LOCKS, lock_reduce, proxy_reduce, reference_reduce
from cellyard.artifacts.views import OF_VIEWS

__all__ = ["OF_INTERPRETER", "find_match", "type_variable"]

cp: Any = cloudpickle.cloudpickle  # it has no annotations of its own


def _cached_property_reduce(obj: Any) -> Any:
    """Without its lock, which Python 3.11 gives it."""
    state = {name: value for name, value in vars(obj).items() if name != "lock"}
    return functools.cached_property, (obj.func,), state


def _weak_mapping_reduce(obj: Any) -> Any:
    """With the entries that live now; ``functools.singledispatch`` keeps such a one."""
    return type(obj), (dict(obj),)


def _proxy_reduce(obj: Any) -> Any:
    """A read-only view goes on showing what it shows. One of a class's attributes is left to cloudpickle."""
    [mapping] = gc.get_referents(obj)
    if type(mapping) is not dict or type(mapping.get("__dict__")) is types.GetSetDescriptorType:
        return NotImplemented
    return types.MappingProxyType, (mapping,)


def _type_variable_reduce(obj: Any) -> Any:
    """cloudpickle would make it a variable of its own module."""
    reduced = cp._typevar_reduce(obj)
    if reduced[0] is not cp._make_typevar:
        return reduced
    return type_variable, (obj.__module__, *reduced[1])


def type_variable(module: str, *arguments: Any) -> Any:
    """The variable of that module."""
    made = cp._make_typevar(*arguments)
    made.__module__ = module
    return made


def _match_reduce(obj: re.Match[Any]) -> Any:
    """A match is found again, at the same place of the same text."""
    place = (obj.re, obj.string, obj.start(), obj.endpos)
    again = find_match(*place)
    if again is None or again.regs != obj.regs:
        raise pickle.PicklingError("cannot pickle a match that depends on what was searched before it")
    return find_match, place


def find_match(pattern: re.Pattern[Any], text: Any, start: int, end: int) -> Any:
    """The match of ``pattern`` in ``text`` that begins at ``start``."""
    return pattern.match(text, start, end)


#: Reductions by type.
OF_INTERPRETER: dict[type, Callable[[Any], Any]] = {
    types.MappingProxyType: _proxy_reduce,
    contextvars.ContextVar: context_variable_reduce,
    struct.Struct: lambda obj: (struct.Struct, (obj.format,)),
    re.Match: _match_reduce,
    typing.TypeVar: _type_variable_reduce,
    **dict.fromkeys((typing.ParamSpec, typing.TypeVarTuple, typing.NewType), named_type_reduce),
    functools.cached_property: _cached_property_reduce,
    **dict.fromkeys(LOCKS, lock_reduce),
    **dict.fromkeys(weakref.ProxyTypes, proxy_reduce),
    weakref.ReferenceType: reference_reduce,
    weakref.WeakSet: lambda obj: (weakref.WeakSet, (list(obj),)),
    weakref.WeakKeyDictionary: _weak_mapping_reduce,
    weakref.WeakValueDictionary: _weak_mapping_reduce,
    **OF_VIEWS,
    **OF_ITERATORS,
}
