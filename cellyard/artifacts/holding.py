"""What functions and classes of the notebook hold beside their code, each thing by the place where it is.

A place is an attribute; or, of a function or of a function among a class's attributes, ``__defaults__``,
``__kwdefaults__``, or a variable of its closure (``#0``), after a space and behind the attribute's name.
"""

from __future__ import annotations

import abc
import enum
import types
from collections.abc import Iterator
from typing import Any

from cellyard.artifacts.definitions import is_empty_cell

__all__ = ["REGISTERED", "held_by", "holds_objects", "is_object", "put", "remove"]

#: The place of the classes that were registered with an abstract one.
REGISTERED = "_abc_impl"
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_DEFAULTS = ("__defaults__", "__kwdefaults__")
_DESCRIPTORS = types.MemberDescriptorType | types.GetSetDescriptorType
#: Files of the code that dataclasses and attrs write.
_GENERATED = ("<string>", "<attrs")
_PARTS = ("__func__", "fget", "fset", "fdel", "func")


def held_by(definition: Any) -> dict[str, Any]:
    """The attributes of a class that are not Python's own, or those of a function; what its functions hold."""
    if isinstance(definition, enum.EnumMeta):
        return {}
    if not isinstance(definition, type):
        return dict(_of_function("", definition, vars(definition)))
    found: dict[str, Any] = {}
    for name, value in vars(definition).items():
        if name.startswith(("__", "_abc_")) or isinstance(value, _DESCRIPTORS):
            found.update(_of_special(name, value))
            continue
        found[name] = value
        if type(value) not in _PLAIN:
            found.update(_of_member(name, value))
    return found | _registered_with(definition) if isinstance(definition, abc.ABCMeta) else found


def _of_member(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    if type(value) is types.FunctionType:
        yield from _of_function(f"{name} ", value, {})
        return
    if type(value) in {staticmethod, classmethod, property}:
        for part in _PARTS:
            inner = getattr(value, part, None)
            if type(inner) is types.FunctionType:
                yield from _of_function(f"{name}.{part} ", inner, {})


def _of_special(name: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Of ``__init__`` and its like the defaults alone, and of those that somebody has written."""
    if type(value) is not types.FunctionType or value.__code__.co_filename.startswith(_GENERATED):
        return
    for place, held in _of_function(f"{name} ", value, {}):
        if place.endswith(_DEFAULTS):
            yield place, held


def _of_function(before: str, function: Any, attributes: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from attributes.items()
    for name in _DEFAULTS:
        value = getattr(function, name)
        if value and (not before or not _is_plain(value)):
            yield before + name, value
    for index, cell in enumerate(function.__closure__ or ()):
        if not is_empty_cell(cell) and not isinstance(cell.cell_contents, type):
            yield f"{before}#{index}", cell.cell_contents


def _is_plain(defaults: Any) -> bool:
    values = defaults.values() if type(defaults) is dict else defaults
    return all(type(value) in _PLAIN for value in values)


def _registered_with(definition: Any) -> dict[str, Any]:
    registry = abc._get_dump(definition)[0]  # type: ignore[attr-defined]
    return {REGISTERED: frozenset(found for each in registry if (found := each()) is not None)}


def holds_objects(definition: Any) -> bool:
    """Whether it holds anything that could be shared with others."""
    return any(is_object(value) for value in held_by(definition).values())


def is_object(value: Any) -> bool:
    """Whether a change of a held value could be seen elsewhere."""
    kind = type(value)
    if kind in _PLAIN or isinstance(value, type | types.ModuleType):
        return False
    if kind is types.FunctionType:
        return bool(value.__dict__)
    if kind in {tuple, frozenset}:
        return any(is_object(each) for each in value)
    return kind not in {staticmethod, classmethod, property}


def put(definition: Any, place: str, value: Any) -> None:
    """Have the live definition hold the value at that place."""
    owner, attribute = _found(definition, place)
    if attribute == REGISTERED:
        for each in value:
            owner.register(each)
    elif attribute.startswith("#"):
        owner.__closure__[int(attribute[1:])].cell_contents = value
    elif isinstance(owner, type):
        type.__setattr__(owner, attribute, value)  # past a metaclass of the notebook: it had its say in the step
    else:
        setattr(owner, attribute, value)


def remove(definition: Any, place: str) -> None:
    """Have the live definition hold nothing at that place."""
    owner, attribute = _found(definition, place)
    if attribute in _DEFAULTS:
        setattr(owner, attribute, None)
    elif attribute.startswith("#"):
        del owner.__closure__[int(attribute[1:])].cell_contents
    elif attribute in vars(owner):
        (type.__delattr__ if isinstance(owner, type) else delattr)(owner, attribute)


def _found(definition: Any, place: str) -> tuple[Any, str]:
    before, space, attribute = place.rpartition(" ")
    if not space:
        return definition, place
    name, _, part = before.partition(".")
    member = vars(definition)[name]
    return (getattr(member, part) if part else member), attribute
