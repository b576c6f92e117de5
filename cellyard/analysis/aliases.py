"""What may be the same object as what, within one cell, and what a change therefore reaches.

Pure. A *key* is a name of the cell, or a local name made unique with a NUL character. A :data:`Value` says
what an expression's result shares with keys:

- ``SAME``: it may be the very object that the key is bound to;
- ``REACHED``: it may be a part of that object (an item, an attribute, a view);
- ``HELD``: it is new, and has that object, or parts of it, inside;
- ``MADE``: it came out of a call of that object, and may share with what that object holds.

The order of statements is not looked at: what ever may share, shares. So no change is missed.
"""

from __future__ import annotations

from collections.abc import Iterable

__all__ = [
    "DEEP", "DIRECT", "HELD", "MADE", "NOTHING", "REACHED", "SAME", "THROUGH",
    "Aliases", "Change", "Value", "deep", "direct", "held", "reached",
]  # fmt: skip

SAME, REACHED, HELD, MADE = 0, 1, 2, 3

Value = tuple[tuple[str, int], ...]
NOTHING: Value = ()

DIRECT, DEEP, THROUGH = 0, 1, 2

Change = tuple[str, int]
"""A key, and how it changes: itself only (``DIRECT``), itself or any part (``DEEP``), or not itself but
possibly what it holds (``THROUGH``)."""

_FOLLOW = {
    (DIRECT, SAME): DIRECT, (DIRECT, REACHED): DEEP, (DIRECT, MADE): THROUGH,
    (DEEP, SAME): DEEP, (DEEP, REACHED): DEEP, (DEEP, HELD): DEEP, (DEEP, MADE): THROUGH,
    (THROUGH, SAME): THROUGH, (THROUGH, REACHED): DEEP, (THROUGH, HELD): DEEP, (THROUGH, MADE): THROUGH,
}  # fmt: skip


def reached(value: Value) -> Value:
    """A part of ``value``."""
    return tuple({(key, kind if kind == MADE else REACHED) for key, kind in value}) if value else value


def held(value: Value) -> Value:
    """Something new that holds ``value``."""
    return tuple({(key, kind if kind == MADE else HELD) for key, kind in value}) if value else value


class Aliases:
    """The sharing of one cell, gathered while it is read."""

    def __init__(self) -> None:
        self.links: dict[str, set[tuple[str, int]]] = {}
        self.results: dict[str, set[tuple[str, int]]] = {}
        self.stores: list[tuple[Value, Value]] = []

    def bind(self, key: str, value: Value) -> None:
        """``key`` may be bound to ``value`` from now on."""
        if value:
            self.links.setdefault(key, set()).update(value)

    def give(self, key: str, value: Value) -> None:
        """``key`` may be bound to a function whose results share with ``value``."""
        if value:
            self.results.setdefault(key, set()).update(value)

    def holds(self, key: str) -> bool:
        """Whether ``key`` shares with any other, as far as is known."""
        return key in self.links or key in self.results

    def store(self, target: Value, value: Value) -> None:
        """``value`` was put inside ``target``."""
        if value:
            self.stores.append((target, value))

    def settle(self) -> set[Change]:
        """Turn the stores into links, and return the changes that must be assumed in their place.

        A value put into something that itself shares with another key can later be reached from that key,
        which no link tells: it is taken as changed."""
        changes: set[Change] = set()
        for target, value in self.stores:
            shared = not target or any(kind != HELD for key, _ in target for _, kind in self.links.get(key, ()))
            if shared or any(kind == MADE for _, kind in target):
                changes.update(deep(value))
            for key, _ in target:
                self.bind(key, held(value))
        self.stores.clear()
        return changes

    def changed(self, changes: Iterable[Change]) -> set[str]:
        """Every key whose object, or a part of it, ``changes`` may alter."""
        seen: set[Change] = set()
        todo = list(changes)
        while todo:
            change = todo.pop()
            if change in seen:
                continue
            seen.add(change)
            key, level = change
            links = self.links.get(key, ())
            if level != DIRECT and key in self.results:
                links = {*links, *self.results[key]}
            for target, kind in links:
                how = _FOLLOW.get((level, kind))
                if how is not None:
                    todo.append((target, how))
        return {key for key, how in seen if how != THROUGH}

    def called(self, keys: Iterable[str]) -> tuple[set[str], set[Change]]:
        """The keys whose own object is called when ``keys`` are, and the changes through what those are part
        of."""
        seen: set[str] = set()
        changes: set[Change] = set()
        todo = list(keys)
        while todo:
            key = todo.pop()
            if key in seen:
                continue
            seen.add(key)
            for target, kind in self.links.get(key, ()):
                if kind == SAME:
                    todo.append(target)
                elif kind != HELD:
                    changes.add((target, THROUGH if kind == MADE else DEEP))
        return seen, changes


def direct(value: Value) -> set[Change]:
    """The changes when ``value`` itself is altered: one that merely holds others leaves them alone."""
    return {(key, _FOLLOW[DIRECT, kind]) for key, kind in value if kind != HELD}


def deep(value: Value) -> set[Change]:
    """The changes when ``value`` or any part of it may be altered."""
    return {(key, _FOLLOW[DEEP, kind]) for key, kind in value}
