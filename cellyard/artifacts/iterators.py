"""Iterators that are half used: their type, what they go through, and their place in it travel. Of those of
dictionaries Python makes iterators of a list, and pairs of neighbours it does not pickle.
"""

from __future__ import annotations

import collections
import gc
import itertools
import operator
from collections.abc import Callable, Iterator
from typing import Any

__all__ = ["OF_ITERATORS"]

_WAYS: dict[str, Callable[[Any], Iterator[Any]]] = {
    "keys": lambda mapping: iter(dict.keys(mapping)),
    "values": lambda mapping: iter(dict.values(mapping)),
    "items": lambda mapping: iter(dict.items(mapping)),
    "reversed keys": lambda mapping: reversed(dict.keys(mapping)),
    "reversed values": lambda mapping: reversed(dict.values(mapping)),
    "reversed items": lambda mapping: reversed(dict.items(mapping)),
}
_NAMES = {type(way({})): name for name, way in _WAYS.items()}


def _of_dictionary_reduce(obj: Any) -> Any:
    mapping = next((each for each in gc.get_referents(obj) if isinstance(each, dict)), {})
    left = operator.length_hint(obj)
    if mapping and not left:  # at its end but for one call, or of a dictionary that has grown
        return NotImplemented
    return rebuild_iterator, (_NAMES[type(obj)], mapping, len(mapping) - left)


def rebuild_iterator(way: str, mapping: Any, used: int) -> Any:
    """The iterator over the dictionary, from which so many have been taken."""
    made = _WAYS[way](mapping)
    collections.deque(itertools.islice(made, used), maxlen=0)
    if not mapping:
        next(made, None)
    return made


_USED_AGAIN = len(gc.get_referents(itertools.pairwise(()))) - 1
"""How many such pairs there are: none in Python 3.11."""


def _pairwise_reduce(obj: Any) -> Any:
    found = gc.get_referents(obj)  # the other iterator, the last that came of it, and the pair that is used again
    return rebuild_pairwise, tuple(found[: len(found) - _USED_AGAIN])


def rebuild_pairwise(*rest: Any) -> Any:
    """Pairs of what came last and what is still to come."""
    source, last = rest[0] if rest else iter(()), rest[1:]
    return itertools.pairwise(itertools.chain(last, source) if last else source)


#: Reductions by type.
OF_ITERATORS: dict[type, Callable[[Any], Any]] = {
    **dict.fromkeys(_NAMES, _of_dictionary_reduce),
    itertools.pairwise: _pairwise_reduce,
}
