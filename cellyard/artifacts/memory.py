"""Which array owns the memory that an array shows, where in it that is, and an array made over it."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["offset_in", "owner_of", "rebuild_view", "root_of"]


def owner_of(array: Any) -> Any:
    """The array that owns the memory of ``array``: itself, or the last array along its bases."""
    kind = type(array)
    while type(array.base) is kind:
        array = array.base
    return array


def root_of(array: Any) -> Any:
    """The same through arrays of any class."""
    kind = sys.modules["numpy"].ndarray
    while isinstance(array.base, kind):
        array = array.base
    return array


def offset_in(owner: Any, array: Any) -> int:
    """Where in the memory of ``owner`` the array begins, in bytes."""
    return int(array.__array_interface__["data"][0] - owner.__array_interface__["data"][0])


def rebuild_view(owner: Any, offset: int, shape: Any, strides: Any, kind: tuple[Any, bool]) -> Any:
    """An array that shows ``owner``'s memory, ``offset`` bytes in."""
    dtype, writeable = kind
    view = type(owner)(shape, dtype=dtype, buffer=owner, offset=offset, strides=strides)
    view.flags.writeable = writeable
    return view
