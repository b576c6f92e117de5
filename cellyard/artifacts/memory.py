"""Which array owns the memory that an array shows."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["owner_of", "root_of"]


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
