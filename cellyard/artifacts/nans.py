"""Floats that are not a number, as objects: ``value is np.nan`` and ``value in values`` ask which one it is.

A pickle makes a new one of each. Where one is found in it, it is made again with those of numpy and of ``math`` by
their names, and all others once each. Arrays of objects, which may have millions, tell where they have numpy's.
"""

from __future__ import annotations

import io
import math
import pickle
import sys
from typing import Any

__all__ = ["NumberedNans", "has_nan", "loads_with_nans", "objects_reduce", "rebuild_objects"]

_PICKLED = b"\xf8\0\0\0\0\0\0"
"""Their end, whichever their sign. Looking for one text is twice as quick as for two."""
_OF_NUMPY, _OF_MATH, _FIRST = 0, 1, 2


def has_nan(pickled: bytes) -> bool:
    """Whether there may be one in a pickle: text and other numbers may look the same."""
    return _PICKLED in pickled


class NumberedNans:
    """Numbers for those that a pickler meets."""

    def __init__(self) -> None:
        self._numbers = {id(math.nan): _OF_MATH}
        self._alive: list[float] = []
        self.needs_numpy = False
        if (numpy := sys.modules.get("numpy")) is not None and hasattr(numpy, "nan"):
            self._numbers[id(numpy.nan)] = _OF_NUMPY

    def number_of(self, value: float) -> int:
        """Which one it is."""
        number = self._numbers.setdefault(id(value), len(self._alive) + _FIRST)
        if number == len(self._alive) + _FIRST:
            self._alive.append(value)
        self.needs_numpy |= number == _OF_NUMPY
        return number


class _Unpickler(pickle.Unpickler):
    def __init__(self, content: Any, buffers: Any) -> None:
        super().__init__(io.BytesIO(content), buffers=buffers)
        self._found: dict[int, float] = {_OF_MATH: math.nan}

    def persistent_load(self, number: Any) -> float:
        if number not in self._found:
            self._found[number] = _of_numpy() if number == _OF_NUMPY else float("nan")
        return self._found[number]


def _of_numpy() -> float:
    import numpy as np

    return np.nan


def loads_with_nans(content: Any, buffers: Any) -> Any:
    """What was pickled with numbers in their places."""
    return _Unpickler(content, buffers).load()


class _Places:
    """The memory of an array of objects as numbers."""

    def __init__(self, array: Any) -> None:
        self.__array_interface__ = {**array.__array_interface__, "typestr": "=u8", "descr": [("", "=u8")]}


def objects_reduce(array: Any) -> Any:
    """The reduction of an array of objects some of which are numpy's; else NotImplemented."""
    np = sys.modules["numpy"]
    if array.dtype != object or not array.size:
        return NotImplemented
    found = np.asarray(_Places(array)) == id(np.nan)
    if not found.any():
        return NotImplemented
    others = array.copy(order="K")
    others[found] = None
    return rebuild_objects, (others, found)


def rebuild_objects(others: Any, found: Any) -> Any:
    """The array with numpy's where they were."""
    others[found] = _of_numpy()
    return others
