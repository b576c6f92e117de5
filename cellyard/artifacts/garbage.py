"""Garbage: objects of a store that nobody needs any more. What is needed is told from outside, by the ids of
artifacts."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.artifacts.encoding import decode
from cellyard.artifacts.store import Store

__all__ = ["Garbage", "find_garbage"]

_AT_ONCE = 100
YOUNG = 3600.0
"""Seconds for which an object stays that nobody speaks of yet: a step may be about to."""


@dataclass(frozen=True, slots=True)
class Garbage:
    """What may go: ``ids`` of all objects, with their ``size`` together; ``artifacts`` are those among them that the
    records speak of, and must forget. ``kept`` is the size of what stays."""

    ids: tuple[str, ...]
    artifacts: tuple[str, ...]
    size: int
    kept: int


def find_garbage(store: Store, references: Mapping[str, float], *, since: float, most: int | None = None) -> Garbage:
    """What of a store may go when only artifacts are kept that were spoken of ``since`` then; and of these only the
    newest that fit into ``most`` bytes. ``references``: artifacts with the time at which they were last spoken of."""
    there = {each.id: each for each in store.objects()}
    kept: set[str] = set()
    dropped: set[str] = set()
    total = 0
    newest_first = sorted((id for id in references if id in there), key=lambda id: -references[id])
    for number, id in enumerate(newest_first):
        if number % _AT_ONCE == 0:
            store.prefetch((each, there[each].size) for each in newest_first[number : number + _AT_ONCE])
        when = references[id]
        parts = {part for part in _closure(store, id) if part in there} - kept
        size = sum(there[part].size for part in parts)
        if when < since or (most is not None and total + size > most):
            dropped |= parts
            continue
        kept |= parts
        total += size
    young = time.time() - YOUNG
    limits = {id: young if id in dropped else min(young, since) for id in there.keys() - kept}
    gone = [id for id, limit in limits.items() if there[id].changed < limit]
    size = sum(there[id].size for id in gone)
    artifacts = tuple(id for id in gone if id in references)
    return Garbage(tuple(gone), artifacts, size, sum(each.size for each in there.values()) - size)


def _closure(store: Store, id: str) -> set[str]:
    """An object with all that it consists of."""
    found = {id}
    try:
        header: Any = decode(store.read(id))
    except Exception:  # noqa: BLE001 - it is no artifact but plain bytes, which may decode to anything or nothing
        return found
    if isinstance(header, dict) and "buffers" in header:
        found |= {str(each[0]) for each in header["buffers"]}
        found |= {str(each) for each in header["definitions"].values()}
        found |= {str(header["pickle_id"])} if "pickle_id" in header else set()
    return found
