"""Exceptions as values: with their type, arguments, attributes, traceback and what they came from.

By default an exception is rebuilt by calling its class with ``args``, which fails for every class whose ``__init__``
takes something else than it passes on. Here the user's ``__init__`` is not called again.
"""

from __future__ import annotations

from typing import Any

__all__ = ["chain_of", "exception_reduce", "has_group", "rebuild_exception", "words_of"]

#: Set by us to show an exception of a step; belongs to the process that shows it.
_SHOWN_AS = "_render_traceback_"
_DEFINED_IN_PYTHON = 1 << 9
_LONGEST_CHAIN = 16


def exception_reduce(error: BaseException) -> Any:
    """A reduction for an exception; NotImplemented where its class has one of its own that says all."""
    kind = type(error)
    inherited = _native(kind)
    if any(getattr(kind, name, None) is not getattr(inherited, name, None) for name in ("__reduce__", "__reduce_ex__")):
        return _own_reduce(error)
    reduced = error.__reduce__()
    if not isinstance(reduced, tuple):
        return NotImplemented
    _, arguments, *rest = reduced
    if isinstance(error, BaseExceptionGroup):
        arguments = (error.message, list(error.exceptions))
    attributes = {name: value for name, value in dict(rest[0] if rest and rest[0] else {}).items() if name != _SHOWN_AS}
    # As a state, so that an exception that is its own context is no endless recursion.
    return rebuild_exception, (kind, arguments), (attributes, *_way_of(error)), None, None, _complete


def _own_reduce(error: BaseException) -> Any:
    """What its class makes of it, which knows nothing of the way that it has come."""
    way = _way_of(error)
    if way == ((None, None, False), None):
        return NotImplemented
    reduced = error.__reduce_ex__(5)
    if not isinstance(reduced, tuple) or any(part is not None for part in reduced[3:]):
        return NotImplemented
    make, arguments, *state = reduced
    return make, arguments, (state[0] if state else None, *way), None, None, _complete


def _way_of(error: BaseException) -> tuple[tuple[Any, Any, bool], Any]:
    return (error.__cause__, error.__context__, error.__suppress_context__), error.__traceback__


def rebuild_exception(kind: type[BaseException], arguments: tuple[Any, ...]) -> BaseException:
    """An exception whose built-in part has its arguments."""
    native: Any = _native(kind)
    made: BaseException = native.__new__(kind, *arguments)
    native.__init__(made, *arguments)
    return made


def words_of(error: BaseException) -> str:
    """Its text, in words of IPython's own where it has none to give."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - it is the user's, and may be anything
        return "<exception str() failed>"


def chain_of(error: BaseException) -> dict[str, BaseException]:
    """What it was raised from, or on the way of, by the way that leads there: ``cause``, ``cause.context``, …"""
    found: dict[str, BaseException] = {}
    seen, waiting = {id(error)}, [("", error)]
    while waiting and len(found) < _LONGEST_CHAIN:
        way, each = waiting.pop(0)
        for name, below in (("cause", each.__cause__), ("context", each.__context__)):
            if below is not None and id(below) not in seen:
                seen.add(id(below))
                path = f"{way}.{name}" if way else name
                found[path] = below
                waiting.append((path, below))
    return found


def has_group(error: BaseException | None) -> bool:
    """Whether it, or what it was raised on the way of, is a group of exceptions."""
    while error is not None and not isinstance(error, BaseExceptionGroup):
        error = error.__context__
    return error is not None


def _native(kind: type[BaseException]) -> type[BaseException]:
    """The nearest class along its bases that is not written in Python."""
    return next(each for each in kind.__mro__ if not each.__flags__ & _DEFINED_IN_PYTHON)


def _complete(error: BaseException, state: tuple[Any, ...]) -> None:
    """With the state of earlier versions, too, which had no traceback."""
    attributes, (cause, context, suppressed), *trace = state
    if attributes is not None:
        error.__setstate__(attributes)
    error.__context__ = context
    error.__cause__ = cause
    error.__suppress_context__ = suppressed
    error.__traceback__ = trace[0] if trace else None
