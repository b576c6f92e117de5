"""What functions and classes of the notebook hold beside their code, and whether a cell has changed it.

A definition travels by itself, and a process that has it keeps its own. So what a step has changed in one (a class
attribute that counts, a list of instances, an attribute of a function, a mutable default) travels back on its own,
and is put into the live definition.
"""

from __future__ import annotations

import logging
import types
from collections.abc import Iterable, Mapping
from typing import Any

from blake3 import blake3

from cellyard.artifacts.artifact import pack_group
from cellyard.artifacts.definitions import registry
from cellyard.artifacts.handlers import as_held
from cellyard.artifacts.holding import REGISTERED, held_by, holds_objects, is_object, put, remove
from cellyard.artifacts.own_magics import MAGICS, register_magics
from cellyard.artifacts.patches import PATCH, own_patches, put_patch
from cellyard.artifacts.reference import HELD
from cellyard.artifacts.sharing import alias_groups
from cellyard.errors import CannotTravel

__all__ = ["HandlerState", "HeldState", "PatchState", "entry_of", "put_back"]

_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_MISSING = object()


class HeldState:
    """What the definitions of some tokens hold now; :meth:`changes` tells later what has become of it."""

    def __init__(self, tokens: Iterable[str], namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        live = {token: registry.find(token) for token in tokens}
        self._definitions = {token: found for token, found in live.items() if found is not None}
        self._before = {token: self._look(found) for token, found in self._definitions.items()}

    def holders(self) -> list[Any]:
        """The definitions that hold something that others may share."""
        return [each for each in self._definitions.values() if holds_objects(each)]

    def changes(self) -> dict[str, dict[str, Any]]:
        """By held name: ``set``, the attributes that are new or other than they were, with those that share objects
        with them, and ``removed``."""
        found: dict[str, dict[str, Any]] = {}
        for token, definition in self._definitions.items():
            before, now = self._before[token], self._look(definition)
            changed = {
                name: value for name, (value, digest) in now.items() if not _is_same(before, name, value, digest)
            }
            removed = [name for name in before if name not in now]
            if changed or removed:
                found[HELD + token] = {"set": {**changed, **_shared_with(changed, now)}, "removed": removed}
        return found

    def _look(self, definition: Any) -> dict[str, tuple[Any, bytes]]:
        return {name: (value, self._digest(value)) for name, value in held_by(definition).items()}

    def _digest(self, value: Any) -> bytes:
        return b"" if _is_replaced_whole(value) else _digest(value, self._namespace)


class PatchState:
    """What the notebook has set in modules and classes of others; :meth:`changes` tells later what has changed."""

    def __init__(self, namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._before = self._look()

    def changes(self) -> dict[str, dict[str, Any]]:
        """As they travel."""
        now, before = self._look(), self._before
        return {
            name: value
            for name, (value, digest) in now.items()
            if name not in before or before[name][1] != digest or not _are_same(value, before[name][0])
        }

    def _look(self) -> dict[str, tuple[dict[str, Any], bytes]]:
        return {name: (held, self._digest(held["set"].get("value"))) for name, held in own_patches().items()}

    def _digest(self, value: Any) -> bytes:
        return b"" if _is_replaced_whole(value) else _digest(value, self._namespace)


class HandlerState:
    """What handlers of logging are like now; :meth:`changes` tells later which are new or others, of those given."""

    def __init__(self, handlers: Iterable[logging.Handler], namespace: dict[str, Any]) -> None:
        self._namespace = namespace
        self._before = self._look(handlers)

    def changes(self, handlers: Iterable[logging.Handler]) -> dict[str, dict[str, Any]]:
        """Those that can travel, as they travel."""
        now = self._look(handlers)
        return {name: value for name, (value, digest) in now.items() if digest and self._digest_before(name) != digest}

    def _digest_before(self, name: str) -> bytes:
        return self._before[name][1] if name in self._before else b""

    def _look(self, handlers: Iterable[logging.Handler]) -> dict[str, tuple[dict[str, Any], bytes]]:
        named = dict(map(as_held, handlers))
        return {name: (value, _digest(value, self._namespace)) for name, value in named.items()}


def _is_replaced_whole(value: Any) -> bool:
    """Whether it is the same one as before, or another was put in its place."""
    return type(value) in _PLAIN or isinstance(value, types.FunctionType | type | property | classmethod | staticmethod)


def _are_same(held: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    value, old = held["set"].get("value", _MISSING), before["set"].get("value", _MISSING)
    return value is old or (type(value) in _PLAIN and type(old) is type(value) and bool(value == old))


def _digest(value: Any, namespace: dict[str, Any]) -> bytes:
    """Of its pickle; nothing for what cannot travel."""
    try:
        packed = pack_group({"held": value}, namespace)
    except CannotTravel:
        return b""
    hasher = blake3(packed.pickle)
    for buffer in packed.buffers:
        hasher.update(buffer.raw())
    return bytes(hasher.digest())


def _is_same(before: Mapping[str, tuple[Any, bytes]], name: str, value: Any, digest: bytes) -> bool:
    old, old_digest = before.get(name, (_MISSING, b""))
    return (old is value or (name == REGISTERED and old == value)) and old_digest == digest


def _shared_with(changed: Mapping[str, Any], now: Mapping[str, tuple[Any, bytes]]) -> dict[str, Any]:
    """What else the definition holds ``now`` that shares an object with what has changed."""
    objects = {place: value for place, (value, _) in now.items() if is_object(value)}
    if objects.keys().isdisjoint(changed) or objects.keys() <= changed.keys():
        return {}
    groups = (group for group in alias_groups(objects) if not changed.keys().isdisjoint(group))
    return {place: objects[place] for group in groups for place in group}


def entry_of(definition: Any, changes: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """All that a definition holds, as :func:`put_back` takes it, beside names that share it; and its other changes."""
    held = {place: value for place, value in held_by(definition).items() if is_object(value)}
    given = changes or {"set": {}, "removed": []}
    return {"definition": definition, "set": {**held, **given["set"]}, "removed": given["removed"]}


def put_back(name: str, changes: Mapping[str, Any]) -> None:
    """Make the changes in the live definition, or in the shell; nothing where it is gone."""
    if name == MAGICS:
        register_magics(changes["set"])
        return
    if name.startswith(PATCH):
        put_patch(name, changes)
        return
    definition = changes.get("definition") or registry.find(name.removeprefix(HELD))
    if definition is None:
        return
    for place, value in changes["set"].items():
        put(definition, place, value)
    for place in changes["removed"]:
        remove(definition, place)
