"""Objects of the standard library that travel otherwise than Python would have it, or not at all."""

from __future__ import annotations

import _thread
import argparse
import copyreg
import gc
import pickle
import threading
import weakref
from typing import Any

from cellyard.artifacts.definitions import is_definition
from cellyard.artifacts.instances import put_attributes
from cellyard.artifacts.tensors import reduce_of_torch

__all__ = [
    "LOCKS",
    "argument_reduce",
    "local_reduce",
    "lock_reduce",
    "proxied",
    "proxy_reduce",
    "put_argument",
    "reference_reduce",
    "referred",
    "without_loop",
]

LOCKS = (_thread.LockType, _thread.RLock)


def lock_reduce(lock: Any) -> Any:
    """One that nobody holds is as good as a new one."""
    if type(lock) is _thread.LockType:
        is_held = lock.locked()
    else:
        is_held = lock._is_owned() or not lock.acquire(blocking=False)
        if not is_held:
            lock.release()
    if is_held:
        raise pickle.PicklingError("cannot pickle a lock that is held")
    return (threading.Lock if type(lock) is _thread.LockType else threading.RLock), ()


def argument_reduce(obj: Any) -> Any:
    """Parsers and their arguments tell by its identity that a text means "nothing"."""
    return _new, (type(obj),), vars(obj), None, None, put_argument


def _new(kind: type) -> Any:
    return object.__new__(kind)


def put_argument(obj: Any, attributes: dict[str, Any]) -> None:
    """Fill a parser or argument."""
    nothing = argparse.SUPPRESS
    vars(obj).update({name: nothing if each == nothing else each for name, each in attributes.items()})


def local_reduce(obj: Any) -> Any:
    """Attributes of this thread, and with what those of another begin, which Python shows to its garbage collector
    alone."""
    held = gc.get_referents(obj)
    arguments = next((each for each in held if type(each) is tuple), ())
    # The other dictionary is that of its attributes, by weak references.
    named = next((each for each in held if type(each) is dict and all(type(name) is str for name in each)), {})
    return _new_local, (type(obj), arguments, named), vars(obj), None, None, put_attributes


def _new_local(kind: Any, arguments: tuple[Any, ...], named: dict[str, Any]) -> Any:
    return threading.local.__new__(kind, *arguments, **named)


def proxy_reduce(proxy: Any) -> Any:
    """A weak proxy of the same object there; pickled as that, it would bring a second one, which ends on its own."""
    gone = _CalledGone() if type(proxy) is weakref.CallableProxyType else _Gone()
    return weakref.proxy, proxied(proxy) or (gone,)


class _Gone:
    """In the place of an object that is no more: it arrives, nobody holds it, and it has gone there, too."""


class _CalledGone(_Gone):
    """The same for one that could be called, which its proxies show."""

    def __call__(self) -> None:
        """Never."""


def reference_reduce(reference: Any) -> Any:
    """A weak reference to the same object of a class of the notebook there, or to the same optimizer of torch."""
    reduced = reduce_of_torch(reference, type(reference))
    if reduced is not NotImplemented:
        return reduced
    if reference.__callback__ is not None or (reference() is not None and not referred(reference)):
        return NotImplemented
    return weakref.ref, referred(reference) or (_Gone(),)


def referred(reference: Any) -> tuple[Any, ...]:
    """What a weak reference leads to, if that lives and is of a class of the notebook: libraries lead by their own to
    much that is nobody's business."""
    found = reference()
    return (found,) if found is not None and is_definition(type(found)) else ()


def proxied(proxy: Any) -> tuple[Any, ...]:
    """What a weak proxy stands for, if that lives."""
    try:
        return (proxy.__init__.__self__,)
    except (ReferenceError, AttributeError):
        return ()


def without_loop(obj: Any) -> Any:
    """A lock or queue of asyncio that was used: the next loop that uses it is its own."""
    return copyreg.__newobj__, (type(obj),), {**vars(obj), "_loop": None}  # type: ignore[attr-defined]
