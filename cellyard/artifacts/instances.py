"""Instances of the notebook's classes: rebuilt past the code of these classes, as the objects they are.

What Python makes of a pickle calls the class again: ``__new__`` without its arguments, ``__getattr__`` of an object
that has no attributes yet, ``append`` or ``__setitem__`` once more for each item. Here the built-in part of an object
is made by its built-in class, items and slots are put in by that class, and ``__dict__`` is the one that the object
had, also where others have it, too.
"""

from __future__ import annotations

import collections
import copyreg
import sys
import types
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from cellyard.artifacts.definitions import is_definition
from cellyard.artifacts.memory import owner_of, place_in, rebuild_view, root_of

__all__ = [
    "Way",
    "array_of_reduce",
    "instance_reduce",
    "put_attributes",
    "rebuild_array_of",
    "rebuild_instance",
    "way_of",
]

_WHOLE = slice(None)
_PROTOCOL = ("__reduce_ex__", "__reduce__", "__getstate__", "__setstate__", "__getnewargs__", "__getnewargs_ex__")


@dataclass(frozen=True)
class _Native:
    """A built-in class: what its ``__new__`` is to be given, what it holds, and how that is put back."""

    kind: type
    arguments: Callable[[Any], tuple[Any, ...]] = lambda obj: ()
    items: Callable[[Any], Any] = lambda obj: None
    fill: Callable[[Any, Any], None] = lambda obj, items: None


def _fill_ordered(obj: Any, items: dict[Any, Any]) -> None:
    for key, value in items.items():
        collections.OrderedDict.__setitem__(obj, key, value)


def _fill_default(obj: Any, state: tuple[Any, dict[Any, Any]]) -> None:
    factory, items = state
    _FACTORY.__set__(obj, factory)
    dict.update(obj, items)


def _fill_deque(obj: Any, state: tuple[list[Any], int | None]) -> None:
    items, longest = state
    collections.deque.__init__(obj, items, longest)


def _ordered_items(obj: Any) -> dict[Any, Any]:
    return {key: dict.__getitem__(obj, key) for key in collections.OrderedDict.__iter__(obj)}


_FACTORY: Any = vars(collections.defaultdict)["default_factory"]
_LONGEST: Any = vars(collections.deque)["maxlen"]
_NATIVES = {
    each.kind: each
    for each in (
        _Native(object),
        _Native(tuple, lambda obj: (tuple.__getitem__(obj, _WHOLE),)),
        _Native(int, lambda obj: (int.__int__(obj),)),
        _Native(float, lambda obj: (float.__float__(obj),)),
        _Native(complex, lambda obj: (complex.__complex__(obj),)),
        _Native(str, lambda obj: (str.__str__(obj),)),
        _Native(bytes, lambda obj: (bytes.__getitem__(obj, _WHOLE),)),
        _Native(frozenset, lambda obj: (frozenset(frozenset.__iter__(obj)),)),
        _Native(list, items=lambda obj: list.__getitem__(obj, _WHOLE), fill=list.extend),
        _Native(set, items=lambda obj: set(set.__iter__(obj)), fill=set.update),
        _Native(dict, items=dict.copy, fill=dict.update),
        _Native(collections.OrderedDict, items=_ordered_items, fill=_fill_ordered),
        _Native(collections.defaultdict, items=lambda obj: (_FACTORY.__get__(obj), dict.copy(obj)), fill=_fill_default),
        _Native(
            collections.deque,
            items=lambda obj: (list(collections.deque.__iter__(obj)), _LONGEST.__get__(obj)),
            fill=_fill_deque,
        ),
    )
}
#: Written in Python, and with a way of their own to be pickled that is no other than that of their built-in class.
_TRANSPARENT = {collections.Counter}
#: What every named tuple has: its items, which are those of a tuple.
_ITEMS_OF_NAMED = collections.namedtuple("_", "")().__getnewargs__.__code__  # type: ignore[attr-defined]


@dataclass(frozen=True)
class Way:
    """How instances of one class are packed: by which built-in class, and in which slots beside."""

    native: _Native
    slots: tuple[tuple[type, str], ...]


def way_of(kind: type) -> Way | None:
    """The way of a class, or None where what Python makes of a pickle is as good, or the class says it itself."""
    native = _native_of(kind)
    if native is None or not _is_inherited(kind) or kind in copyreg.dispatch_table:
        return None
    slots = tuple(_slots(kind))
    if is_definition(kind):
        has_own = native.kind is not object or _meets_own_code(kind, bool(slots))
        return Way(native, slots) if has_own and not _is_plain_tuple(kind) else None
    return Way(native, slots) if native.kind is object and _written(kind, "__getattr__", "__getattribute__") else None


def _native_of(kind: type) -> _Native | None:
    """The built-in class of its instances, if it is one of those known here."""
    for each in kind.__mro__:
        if each in _NATIVES:
            return _NATIVES[each]
        if type(vars(each).get("__new__")) is types.BuiltinFunctionType:
            return None
    return None


def _is_inherited(kind: type) -> bool:
    """Whether it has nothing of its own for pickles."""
    for name in _PROTOCOL:
        home = next((each for each in kind.__mro__ if name in vars(each)), object)
        if home not in _NATIVES and home not in _TRANSPARENT and not _is_named_tuple(vars(home)[name]):
            return False
    return True


def _is_named_tuple(method: Any) -> bool:
    code = getattr(method, "__code__", None)
    return bool(code == _ITEMS_OF_NAMED)  # not "is": the class may have come by value


def _is_plain_tuple(kind: type) -> bool:
    """A named tuple without a constructor of its own, of which there can be millions."""
    home = next(each for each in kind.__mro__ if "__new__" in vars(each))
    return issubclass(kind, tuple) and _is_named_tuple(vars(home).get("__getnewargs__"))


def _meets_own_code(kind: type, has_slots: bool) -> bool:
    """Whether an instance made of a pickle would run code of its class, or have a ``__dict__`` of its own where it
    shares one."""
    own = ("__getattr__", "__getattribute__", "__new__") + (("__setattr__",) if has_slots else ())
    return _written(kind, *own) or any(_names_dict(each) for each in kind.__mro__ if is_definition(each))


def _written(kind: type, *names: str) -> bool:
    """Whether one of the methods is written in Python."""
    methods = (vars(each).get(name) for each in kind.__mro__ for name in names)
    return any(isinstance(getattr(each, "__func__", each), types.FunctionType) for each in methods)


def _names_dict(kind: type) -> bool:
    return any(
        type(each) is types.FunctionType and "__dict__" in each.__code__.co_names for each in vars(kind).values()
    )


def _slots(kind: type) -> Any:
    """The slots with the class that has each, under the name by which that class has it."""
    for each in kind.__mro__:
        for name, member in vars(each).items():
            if each not in _NATIVES and type(member) is types.MemberDescriptorType:
                yield each, name


def instance_reduce(obj: Any, way: Way) -> tuple[Any, ...]:
    """The reduction of an instance of a class that has that way."""
    native = way.native
    slots = [(home, name, value) for home, name in way.slots for value in _in_slot(obj, home, name)]
    state = (native.kind, native.items(obj), _dict_of(obj), slots)
    made = (native.kind, type(obj), native.arguments(obj))
    return rebuild_instance, made, state, None, None, _complete


def _dict_of(obj: Any) -> dict[str, Any] | None:
    try:
        found: dict[str, Any] = object.__getattribute__(obj, "__dict__")
    except AttributeError:
        return None
    return found


def _in_slot(obj: Any, home: type, name: str) -> list[Any]:
    """What is in the slot, if anything is."""
    try:
        return [vars(home)[name].__get__(obj)]
    except AttributeError:
        return []


def rebuild_instance(native: Any, kind: type, arguments: tuple[Any, ...]) -> Any:
    """An instance whose built-in part has its arguments."""
    return native.__new__(kind, *arguments)


def _complete(obj: Any, state: tuple[type, Any, dict[str, Any] | None, list[tuple[type, str, Any]]]) -> None:
    native, items, attributes, slots = state
    _NATIVES[native].fill(obj, items)
    if attributes is not None:
        object.__setattr__(obj, "__dict__", attributes)
    for home, name, value in slots:
        vars(home)[name].__set__(obj, value)


def array_of_reduce(obj: Any, kind: Any) -> Any:
    """An array of a class of the notebook's, with its attributes, which numpy leaves behind, over the memory that it
    shares with others."""
    numpy = sys.modules["numpy"]
    if kind.__reduce__ is not numpy.ndarray.__reduce__ or not isinstance(obj, numpy.ndarray):
        return NotImplemented
    root = root_of(obj)
    if root is obj or type(root) is not numpy.ndarray or obj.dtype.hasobject:
        return rebuild_array_of, (kind, obj.view(numpy.ndarray)), vars(obj), None, None, put_attributes
    place = place_in(root, obj)
    return rebuild_array_of, (kind, root, place), vars(obj), None, None, put_attributes


def form_reduce(array: Any, *, is_shared: bool) -> Any:
    """A matrix, records or a masked array over the memory that it shows, where others show that, too; numpy would copy
    it. Its masks follow with what else it has."""
    root = owner_of(array)
    if is_shared and root is not array:
        place = place_in(root, array)
        return rebuild_array_of, (type(array), root, place), dict(vars(array)), None, None, put_attributes
    return NotImplemented


def rebuild_array_of(kind: type, root: Any, place: tuple[Any, ...] | None = None) -> Any:
    """The array as one of that class, at that place of the memory of ``root``."""
    return (root if place is None else rebuild_view(root, *place)).view(kind)


def put_attributes(obj: Any, attributes: dict[str, Any]) -> None:
    """What it has beside its built-in part, past a ``__setattr__`` of its class."""
    vars(obj).update(attributes)
