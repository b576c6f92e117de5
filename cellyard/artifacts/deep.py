"""Room for what is nested deeper than Python's usual limits allow to pickle: chains of nodes, trees, parsed pages."""

from __future__ import annotations

import contextvars
import pickle
import sys
import threading
from collections.abc import Callable
from typing import Any, Protocol, TypeVar

__all__ = ["dumped"]

_STACK = 512 << 20
"""Bytes of address space; only what is used of it becomes memory."""
_DEPTH = 200_000
"""Calls of the pickler in each other, at somewhat over 2 KiB of stack each."""


class _Pickles(Protocol):
    def dump(self, value: Any, /) -> Any: ...


_P = TypeVar("_P", bound=_Pickles)


def dumped(make: Callable[[], _P], value: Any) -> _P:
    """The pickler that has pickled the value: a new one with more room, where the first had too little."""
    pickler = make()
    try:
        pickler.dump(value)
    except Exception as error:
        if not _is_too_deep(error):
            raise
        pickler = make()
        _in_deep_stack(lambda: pickler.dump(value))
    return pickler


def _is_too_deep(error: BaseException) -> bool:
    """Whether it only says that there was no room for so many calls in each other."""
    return isinstance(error, RecursionError) or (
        isinstance(error, pickle.PicklingError) and isinstance(error.__cause__, RecursionError)
    )


def _in_deep_stack(call: Callable[[], Any]) -> None:
    """Call it in a thread with room for many calls in each other; raises what it raises."""
    errors: list[BaseException] = []

    def run() -> None:
        try:
            context.run(call)
        except BaseException as error:  # noqa: BLE001 - raised again where it was asked for
            errors.append(error)

    context = contextvars.copy_context()
    limit, size = sys.getrecursionlimit(), threading.stack_size(_STACK)
    thread = threading.Thread(target=run, name="cellyard-deep", daemon=True)
    try:
        sys.setrecursionlimit(max(limit, _DEPTH))
        thread.start()
        threading.stack_size(size)
        thread.join()
    finally:
        threading.stack_size(size)
        sys.setrecursionlimit(limit)
    if errors:
        raise errors[0]
