"""What a cell needs of a live namespace, may change in it, and misses. Facts and a namespace in, names out."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import NamedTuple

from cellyard.analysis.facts import Facts
from cellyard.analysis.functions import globals_used_by, reachable_names
from cellyard.analysis.purity import BUILTINS
from cellyard.analysis.tokens import token_names

__all__ = ["MissingName", "changed_names", "changes_when_read", "missing_names", "needed_names"]

_PLAIN = (types.FunctionType, types.BuiltinFunctionType, types.ModuleType)


class MissingName(NamedTuple):
    """A name that a cell reads and nobody made, with the line of its first read."""

    name: str
    line: int


def needed_names(facts: Facts, namespace: Mapping[str, object], *, source: str = "") -> frozenset[str]:
    """The names of ``namespace`` that the cell may use: its reads, and what these need in turn.

    Functions that the cell redefines are followed as it defines them. ``source`` (the raw cell) is needed where
    :attr:`Facts.uses_dynamic` holds: then every word of it counts.
    """
    wanted = set(facts.reads | facts.mentions | facts.builtins_read)
    if facts.uses_dynamic:
        wanted |= token_names(source)
    found: frozenset[str] = frozenset()
    while True:
        reached = reachable_names(wanted - found, namespace)
        grown = found | reached
        # A function of the notebook may call one that this cell defines anew: then that one's needs count.
        more: set[str] = set()
        for name in (reached | wanted) & facts.functions.keys():
            more |= facts.functions[name].reads | facts.functions[name].builtins_read
        wanted = {name for name in more if name in namespace} - grown
        found = grown
        if not wanted:
            return found


def changed_names(facts: Facts, namespace: Mapping[str, object], *, source: str = "") -> frozenset[str]:
    """The names of ``namespace`` whose values the cell may change in place; all others it surely leaves alone.

    That is what it mutates, what calls of objects and methods may reach, and what changes by being read. Names that
    share an object with one of these are for the caller to add.
    """
    needed = needed_names(facts, namespace, source=source)
    direct = facts.reads | facts.builtins_read
    if facts.uses_dynamic:
        return frozenset(name for name in needed if type(namespace[name]) not in _PLAIN)
    found = set(needed - direct)
    found |= facts.mutates & needed
    found.update(name for name in facts.calls & needed if _keeps_state(namespace[name]))
    found.update(name for name in needed if changes_when_read(namespace[name]))
    return frozenset(name for name in found if not _is_stateless(namespace[name]))


def _keeps_state(value: object) -> bool:
    return not _is_stateless(value)


def _is_stateless(value: object) -> bool:
    """Whether a call or use of ``value`` cannot change it: a module, a builtin, a function without a closure."""
    if type(value) is types.FunctionType:
        held = (*(value.__defaults__ or ()), *(value.__kwdefaults__ or {}).values())
        return value.__closure__ is None and not value.__dict__ and all(_is_constant(one) for one in held)
    return type(value) in _PLAIN


def _is_constant(value: object) -> bool:
    return value is None or type(value) in (bool, int, float, complex, str, bytes)


def changes_when_read(value: object) -> bool:
    """Whether reading ``value`` changes it: iterators, and dictionaries that make what is missing."""
    cls = type(value)
    return hasattr(cls, "__next__") or (issubclass(cls, dict) and hasattr(cls, "__missing__"))


def missing_names(facts: Facts, namespace: Mapping[str, object]) -> tuple[MissingName, ...]:
    """The names that the cell surely reads, which exist neither in ``namespace`` nor as builtins, by line.

    A name that a function reached from the cell may bind is not missing, nor is anything missing that a cell with
    dynamic uses may have made before.
    """
    lacking = {name for name in facts.required if name not in namespace and name not in BUILTINS}
    if lacking:
        for name in needed_names(facts, namespace):
            lacking -= globals_used_by(namespace[name], namespace).stores
    found = [MissingName(name, facts.reads_at.get(name, 1)) for name in lacking]
    return tuple(sorted(found, key=lambda one: (one.line, one.name)))
