"""Functions inside the process state: a notebook's own travels by value, any other by its name."""

from __future__ import annotations

import pickle
from typing import Any

import cloudpickle

__all__ = ["Callback", "pickles", "travelling"]


class Callback:
    """A function that pickles wherever it comes from. Two are equal when they hold the same or do the same."""

    def __init__(self, function: Any) -> None:
        self._function = function
        self._data: bytes | None = None

    def function(self) -> Any:
        """The function, in any process."""
        if self._function is None and self._data is not None:
            self._function = pickle.loads(self._data)
        return self._function

    def __reduce__(self) -> Any:
        if self._data is None:
            dumps: Any = cloudpickle.dumps  # it has no annotations of its own
            self._data = dumps(self._function)
        return _loaded, (self._data,)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Callback):
            return NotImplemented
        if self.function() is other.function() or self.function() == other.function():
            return True
        return self._data is not None and self._data == other._data

    __hash__ = None  # type: ignore[assignment]


def _loaded(data: bytes) -> Callback:
    made = Callback(None)
    made._data = data
    return made


def pickles(value: Any) -> bool:
    """Whether a part of the process state can travel."""
    try:
        pickle.dumps(value)
    except Exception:  # noqa: BLE001 - whatever the reason, it cannot travel
        return False
    return True


_TRIED: dict[int, tuple[Any, Callback | None]] = {}


def travelling(function: Any) -> Callback | None:
    """The function as it can travel, found once; None where it cannot."""
    known = _TRIED.get(id(function))
    if known is None or known[0] is not function:
        callback = Callback(function)
        known = _TRIED[id(function)] = (function, callback if pickles(callback) else None)
    return known[1]
