"""Which names reach a common mutable object, and so must travel together.

The object graphs are walked with :func:`gc.get_referents`, level by level; modules, classes and plain functions are
not entered. What two names both reach joins them when it is mutable. Arrays are told apart by the array that owns
their memory; for those inside pandas objects see :mod:`cellyard.artifacts.frame_memory`.
"""

from __future__ import annotations

import array as array_module
import enum
import gc
import sys
import types
import weakref
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import KW_ONLY, dataclass, field
from typing import Any

from cellyard.artifacts.context_variables import ContextVar, value_in
from cellyard.artifacts.definitions import is_definition, is_nameless, registry
from cellyard.artifacts.frame_memory import FrameMemory
from cellyard.artifacts.holding import held_by, is_object
from cellyard.artifacts.kinds import package_of
from cellyard.artifacts.memory import masks_of, owner_of, root_of
from cellyard.artifacts.process_objects import is_of_process
from cellyard.artifacts.reference import HELD, is_held
from cellyard.artifacts.standard import proxied, referred
from cellyard.artifacts.tensors import is_tensor, parts_of
from cellyard.artifacts.unchanging import ATOMS, SINGLETON_MODULES, TRANSPARENT, UNCHANGING_OF_PANDAS
from cellyard.artifacts.views import exporter_of

__all__ = ["LOOP_BOUND", "Sharing", "alias_groups", "find_sharing", "shared_bases"]

#: What of asyncio belongs to a loop once it was used, and to that of the other side after the way there.
LOOP_BOUND = {"asyncio.locks", "asyncio.queues"}


@dataclass(frozen=True)
class Sharing:
    """What a set of names shares.

    ``groups`` are the names joined by common objects, each sorted as given; ``bases`` the ids of arrays whose memory
    several arrays of one group show, or None where nobody has looked (see :func:`shared_bases`). ``is_shared_outside``
    is False only when nothing but these values holds any of their mutable objects; True where that was not asked.
    A group may also have held names, of functions and classes of the notebook that hold what the names share;
    ``definitions`` are these by that name.
    """

    groups: tuple[tuple[str, ...], ...]
    bases: frozenset[int] | None
    _: KW_ONLY
    is_shared_outside: bool = True
    definitions: Mapping[str, Any] = field(default_factory=dict)


def alias_groups(values: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """The names of ``values`` in groups; names of one group reach a common mutable object."""
    groups = (tuple(name for name in group if not is_held(name)) for group in find_sharing(values).groups)
    return tuple(group for group in groups if group)


def find_sharing(
    values: Mapping[str, Any],
    *,
    holders: int | None = None,
    of_held: int = 0,
    thorough: bool = False,
    definitions: Iterable[Any] = (),
    leading: Collection[str] | None = None,
) -> Sharing:
    """Alias groups and shared array memory of ``values``, and of what definitions hold that they reach, or that are
    among ``definitions``.

    With ``holders`` it is also found whether others hold any of it: that is how many dictionaries hold these very
    values on behalf of the caller, ``values`` included, whose references do not count; nor do ``of_held`` to what
    definitions hold. Without it, a single value is not looked into, unless asked to be ``thorough``. Of the names that
    are ``leading``, the others are looked at for what they share with these alone.
    """
    if holders is None and not thorough and sum(map(_may_lead_on, values.values())) <= 1:
        return Sharing(tuple((name,) for name in values), None)
    walker = _walked(values)
    walker.walk_definitions(definitions)
    is_shared = holders is None or walker.is_shared_outside(holders, of_held)
    walker.join_frames(leading)
    groups = tuple(g for g in walker.groups(dict.fromkeys([*values, *walker.held])) if len(g) > 1 or g[0] in values)
    bases = frozenset(walker.shared_bases())
    return Sharing(groups, bases, is_shared_outside=is_shared, definitions=walker.held)


def shared_bases(values: Mapping[str, Any]) -> frozenset[int]:
    """The ids of arrays whose memory several arrays of ``values`` show."""
    return frozenset(_walked(values).shared_bases())


def _may_lead_on(value: Any) -> bool:
    return type(value) not in ATOMS or type(value) is type


def _walked(values: Mapping[str, Any]) -> _Walker:
    walker = _Walker()
    for name in values:
        walker.walk(name, values[name])
    return walker


class _Walker:
    def __init__(self) -> None:
        self._roots: Counter[int] = Counter()
        self._seen: dict[int, str] = {}
        self._alive: list[Any] = []  # ids stay unique only while the objects live
        self._parents: dict[str, str] = {}
        self._arrays_on: dict[int, set[int]] = {}
        self._in_pandas: set[int] = set()
        self._met: Counter[int] = Counter()
        self._unchanging: dict[int, bool] = {}
        self._held_roots: Counter[int] = Counter()
        self._met_definitions: dict[int, Any] = {}
        self._met_tensors = False
        self._name = ""
        self._frames = FrameMemory()
        self.held: dict[str, Any] = {}
        """The definitions that were walked, by their held names."""

    def walk(self, name: str, value: Any) -> None:
        """Visit everything that ``value`` reaches, on behalf of ``name``: a level at a time, because a level of a
        million objects is quick only in a few calls for all of them."""
        self._roots[id(value)] += 1
        self._walk_all(name, [value])

    def walk_definitions(self, more: Iterable[Any]) -> None:
        """Visit what definitions hold, of those that have been met and of more, on behalf of each."""
        self._met_definitions.update((id(each), each) for each in more)
        while self._met_definitions:
            _, definition = self._met_definitions.popitem()
            name = HELD + registry.token(definition)
            if name in self.held:
                continue
            values = [value for value in held_by(definition).values() if is_object(value)]
            if values:
                self.held[name] = definition
                self._held_roots.update(map(id, values))
                self._walk_all(name, values)

    def _walk_all(self, name: str, values: list[Any]) -> None:
        self._name = name
        self._parents.setdefault(name, name)
        self._meet_classes(values)
        level = [value for value in values if type(value) not in ATOMS]
        while level:
            following = self._children(self._enter(level, name))
            self._meet_classes(following)
            level = [item for item in following if type(item) not in ATOMS]

    def _enter(self, level: list[Any], name: str) -> list[Any]:
        """Those of the level that nobody has entered; what another name has entered is shared with it."""
        found = {id(item): item for item in level}
        self._met.update(map(id, level))
        known = found.keys() & self._seen.keys()
        for key in known:
            item, first = found.pop(key), self._seen[key]
            # A transparent object is entered once: whoever meets it again shares what it holds.
            if first != name and not self._is_unchanging(item, type(item)):
                self.join(first, name)
        self._seen.update(dict.fromkeys(found, name))
        fresh = list(found.values())
        self._alive += fresh
        return fresh

    def _children(self, items: list[Any]) -> list[Any]:
        if all(_children_rule(kind) is None for kind in set(map(type, items))):
            return gc.get_referents(*items)
        special = {kind for kind in set(map(type, items)) if _children_rule(kind) is not None}
        following: list[Any] = []
        for item in [item for item in items if type(item) in special]:
            rule = _children_rule(type(item))
            following.extend(rule(self, item) if rule is not None else ())
        return following + gc.get_referents(*[item for item in items if type(item) not in special])

    def is_shared_outside(self, holders: int, of_held: int) -> bool:
        """Whether an object has more references than this walk has met. To be asked when the walk is over. Who else
        holds a tensor or its memory, Python does not know."""
        if self._met_tensors or self._frames.is_held_elsewhere:
            return True
        own = 3  # the list of visited objects, the loop's variable, the argument of getrefcount
        met, roots, held, more = self._met, self._roots, self._held_roots, holders - 1
        return any(
            sys.getrefcount(item) > met[id(item)] + roots[id(item)] * more + held[id(item)] * of_held + own
            for item in self._alive
            if not self._is_unchanging(item, type(item))
        )

    def _is_unchanging(self, item: Any, kind: type) -> bool:
        """True for constants, and for transparent objects that hold nothing else, however deep."""
        if kind not in TRANSPARENT:
            return _is_constant(item, kind)
        known = self._unchanging.get(id(item))
        if known is None:
            known = self._unchanging[id(item)] = not _holds_mutable(item)
        return known

    def join(self, one: str, other: str) -> None:
        self._parents[self._root(other)] = self._root(one)

    def _root(self, name: str) -> str:
        while (parent := self._parents[name]) != name:
            name = parent
        return name

    def groups(self, names: Iterable[str]) -> tuple[tuple[str, ...], ...]:
        found: dict[str, list[str]] = {}
        for name in names:
            found.setdefault(self._root(name), []).append(name)
        return tuple(tuple(group) for group in found.values())

    def shared_bases(self) -> Iterable[int]:
        """Not of a view that alone shows its part of an array: the rest of that may be large, and nobody sees it."""
        for base, arrays in self._arrays_on.items():
            views = len(arrays - {base})
            if views > 1 or (views and self._met[base] > views) or base in self._frames:
                yield base

    def _meet_classes(self, items: Iterable[Any]) -> None:
        """Also the classes of instances: every instance refers to its own."""
        for each in {item for item in items if type(item) is type}:
            self.meet_class(each)

    def meet_class(self, item: Any) -> Iterable[Any]:
        """A class is not entered on behalf of its instances: what it holds is a matter of its own."""
        if item.__module__ == "__main__":
            self._met_definitions[id(item)] = item
        return ()

    def enter_function(self, item: types.FunctionType) -> Iterable[Any]:
        """A function's globals are the namespace: names, not contents."""
        if is_definition(item):
            self._met_definitions[id(item)] = item
        return [x for x in (item.__closure__, item.__defaults__, item.__kwdefaults__, item.__dict__ or None) if x]

    def enter_array(self, item: Any) -> Iterable[Any]:
        """An array leads to its owner; an array of objects also to its elements."""
        owner = owner_of(item)
        if id(item) not in self._in_pandas:
            self._arrays_on.setdefault(id(owner), set()).add(id(item))
            self._frames.note_array(owner, item)
        if owner.base is not None and (exporter := exporter_of(owner.base)) is not None:
            self._arrays_on.setdefault(id(exporter), set()).add(id(owner))
            yield from (exporter,) if owner is item else ()
        yield from (*masks_of(item), *(() if owner is item else (owner,)))
        if item.dtype.hasobject:
            yield from item.ravel().tolist()

    def enter_array_of(self, item: Any) -> Iterable[Any]:
        """One of a class of somebody's own leads to the memory that it shows, too, and to its attributes."""
        root = root_of(item)
        yield from getattr(item, "__dict__", {}).values()
        yield from () if root is item else (root,)
        yield from item.ravel().tolist() if item.dtype.hasobject else ()

    def enter_tensor(self, item: Any) -> Iterable[Any]:
        """A tensor leads to the memory that it shows, and that others may show; so do handles, to what they undo."""
        self._met_tensors = True
        return parts_of(item)

    def enter_pandas_block(self, item: Any) -> Iterable[Any]:
        """Frames share objects that columns hold, and with arrays their memory."""
        if type(item.values).__module__ != "numpy":
            return ()
        if item.values.dtype.hasobject:
            self._in_pandas.add(id(item.values))
            return list(item.values.ravel())
        self._frames.note_block(self._name, item)  # which counts references: none of our own
        return ()

    def join_frames(self, leading: Collection[str] | None) -> None:
        met, on = self._met, self._arrays_on
        owners = {owner: met[owner] > len(arrays - {owner}) for owner, arrays in on.items()}
        for owner, name in self._frames.joined(owners, leading):
            self.join(self._seen[owner], name)


def _enter_cell(_: _Walker, item: types.CellType) -> Iterable[Any]:
    try:
        return (item.cell_contents,)
    except ValueError:  # an empty cell
        return ()


def _enter_nothing(_: _Walker, item: Any) -> Iterable[Any]:
    return ()


def _enter_whole(_: _Walker, item: Any) -> Iterable[Any]:
    """It changes as a whole: nothing of it is anybody else's."""
    return ()


_Rule = Callable[[_Walker, Any], Iterable[Any]]
_RULES: dict[type, _Rule | None] = {
    types.FunctionType: _Walker.enter_function,
    types.CellType: _enter_cell,
    ContextVar: lambda _, item: value_in(item),
    **dict.fromkeys(weakref.ProxyTypes, lambda _, item: proxied(item)),
    weakref.ReferenceType: lambda _, item: referred(item),
    weakref.WeakSet: lambda _, item: list(item),
    weakref.WeakValueDictionary: lambda _, item: [part for each in item.items() for part in each],
    weakref.WeakKeyDictionary: lambda _, item: [part for each in item.items() for part in each],
    array_module.array: _enter_nothing,
    bytearray: _enter_nothing,
    # Through an exception's frames, whose variables do not travel, it would reach the whole notebook.
    types.TracebackType: _enter_whole,
}


def _children_rule(kind: type) -> _Rule | None:
    """How to go on from an object of that type; None: by its references."""
    try:
        return _RULES[kind]
    except KeyError:
        rule = _RULES[kind] = _rule_for(kind)
        return rule


def _rule_for(kind: type) -> _Rule | None:
    if issubclass(kind, type):
        return _Walker.meet_class
    if issubclass(kind, enum.Enum | types.ModuleType) or kind.__module__ in SINGLETON_MODULES or is_of_process(kind):
        return _enter_nothing
    if kind.__module__ in LOOP_BOUND:
        return lambda _, item: [value for name, value in vars(item).items() if name != "_loop"]
    if is_tensor(kind):
        return _Walker.enter_tensor
    rule = _OF_LIBRARIES.get(package_of(kind))
    if rule is not None:
        return rule(kind)
    return _Walker.enter_array_of if hasattr(kind, "__array_finalize__") else None


def _rule_for_pandas(kind: type) -> _Rule | None:
    if "Block" in kind.__name__ and kind.__module__.startswith("pandas.core.internals.blocks"):
        return _Walker.enter_pandas_block
    return _enter_nothing if any(base.__name__ in UNCHANGING_OF_PANDAS for base in kind.__mro__) else None


def _rule_for_polars(kind: type) -> _Rule | None:
    return _enter_whole if kind.__name__ in {"DataFrame", "Series"} else _enter_nothing


def _rule_for_numpy(kind: type) -> _Rule | None:
    if hasattr(kind, "__array_finalize__"):
        return _Walker.enter_array
    names = {base.__name__ for base in kind.__mro__}
    return _enter_nothing if names & {"dtype", "generic", "ufunc"} else None


def _rule_for_torch(kind: type) -> _Rule | None:
    if kind.__name__ in {"Size", "device", "dtype", "layout", "memory_format"}:
        return _enter_nothing
    return {"UntypedStorage": _enter_whole, "RemovableHandle": _Walker.enter_tensor}.get(kind.__name__)


_OF_LIBRARIES: dict[str, Callable[[type], _Rule | None]] = {
    "numpy": _rule_for_numpy,
    "pandas": _rule_for_pandas,
    "polars": _rule_for_polars,
    "pyarrow": lambda _: _enter_nothing,
    "torch": _rule_for_torch,
}


def _is_constant(item: Any, kind: type) -> bool:
    """True for objects through which no change can show: classes, enum members, dtypes, plain functions."""
    rule = _children_rule(kind)
    if rule is _Walker.meet_class:
        return True
    if rule is _enter_nothing:
        return kind not in {bytearray, array_module.array}
    return kind is types.FunctionType and not item.__closure__ and not is_nameless(item)


def _holds_mutable(item: Any) -> bool:
    """Whether a transparent object leads, through others of its kind, to something that can change."""
    seen, pending = {id(item)}, [item]
    while pending:
        for each in gc.get_referents(pending.pop()):
            kind = type(each)
            if kind in ATOMS or id(each) in seen:
                continue
            if kind not in TRANSPARENT:
                if not _is_constant(each, kind):
                    return True
                continue
            seen.add(id(each))
            pending.append(each)
    return False
