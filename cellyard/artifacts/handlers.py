"""Handlers of logging and their formatters: objects that loggers have, which every process finds by their names.

Each handler has a token, so that what a logger, a name and the process state lead to is one handler in another process,
too, and is the same one again where it comes back. Streams are those of the process, or travel along; a file is opened
again, at its end.
"""

from __future__ import annotations

import contextlib
import fcntl
import io
import logging
import os
import uuid
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cellyard.artifacts.definitions import namespace_here
from cellyard.artifacts.process_objects import find_here
from cellyard.artifacts.reference import HELD

__all__ = [
    "absent_of",
    "as_held",
    "expect",
    "find",
    "find_formatter",
    "formatter_reduce",
    "formatter_token",
    "handler_reduce",
    "know",
    "know_formatter",
    "logger_of",
    "logger_reduce",
    "loggers",
    "open_again",
    "settled",
    "token_of",
]

_NAME = f"{HELD}handler "
_OF_PROCESS = {"lock", "stream"}
_APPENDING = "a"

_live: weakref.WeakValueDictionary[str, logging.Handler] = weakref.WeakValueDictionary()
_tokens: weakref.WeakKeyDictionary[logging.Handler, str] = weakref.WeakKeyDictionary()
_formatters: weakref.WeakValueDictionary[str, logging.Formatter] = weakref.WeakValueDictionary()
_formatter_tokens: weakref.WeakKeyDictionary[logging.Formatter, str] = weakref.WeakKeyDictionary()
_arrived: list[logging.Handler] = []
"""Those that have come before it is known which loggers are to have them; nobody else need hold them."""
_expected: dict[str, dict[str, int]] = {}
"""By the name of a logger: tokens of handlers that it has elsewhere and that have not come, each with its place."""


def loggers() -> Iterator[tuple[str, logging.Logger]]:
    """All that there are, by name; the root's name is empty."""
    yield "", logging.root
    for name, each in list(logging.root.manager.loggerDict.items()):
        if isinstance(each, logging.Logger):
            yield name, each


def logger_reduce(logger: Any) -> Any:
    """One of a class of somebody's own (``logging.setLoggerClass``), which is of that where it arrives, too."""
    kind = type(logger)
    if kind in {logging.Logger, logging.RootLogger} or logging.getLogger(logger.name) is not logger:
        return NotImplemented
    return logger_of, (logger.name, kind)


def logger_of(name: str, kind: type[logging.Logger]) -> logging.Logger:
    """The logger of that name and class."""
    before = logging.getLoggerClass()
    logging.setLoggerClass(kind)
    try:
        found = logging.getLogger(name)
    finally:
        logging.setLoggerClass(before)
    if type(found) is logging.Logger:  # its level or its handlers came before it
        found.__class__ = kind
    return found


def token_of(handler: logging.Handler) -> str | None:
    """By what other processes know it, if they may."""
    return _tokens.get(handler)


def know(handler: logging.Handler, token: str = "") -> str:
    """From now on it has a token."""
    known = _tokens.get(handler)
    if known is None:
        known = token or uuid.uuid4().hex
        _tokens[handler] = known
        _live[known] = handler
    _append(handler)
    return known


def find(token: str) -> logging.Handler | None:
    """The handler of that token, if it is here."""
    return _live.get(token)


def as_held(handler: logging.Handler) -> tuple[str, dict[str, Any]]:
    """A name and a value for one that comes to a logger without a name of the notebook leading to it."""
    return _NAME + know(handler), {"set": {"handler": handler}, "removed": []}


def formatter_token(formatter: logging.Formatter) -> str:
    """By what other processes know a formatter."""
    token = _formatter_tokens.get(formatter)
    return know_formatter(formatter, uuid.uuid4().hex) if token is None else token


def know_formatter(formatter: logging.Formatter, token: str) -> str:
    """From now on that is its token."""
    _formatter_tokens[formatter] = token
    _formatters[token] = formatter
    return token


def find_formatter(token: str) -> logging.Formatter | None:
    """The formatter of that token, if it is here."""
    return _formatters.get(token)


def formatter_reduce(formatter: logging.Formatter) -> Any:
    """By its token and all that it has: several handlers, and names, may share it."""
    return _formatter_found, (formatter_token(formatter),), dict(vars(formatter))


def _formatter_found(token: str) -> logging.Formatter:
    live = _formatters.get(token) if _is_notebook() else None
    if live is None:
        live = logging.Formatter()
        if _is_notebook():
            know_formatter(live, token)
    return live


def settled() -> None:
    """It is known which loggers have which handlers."""
    _arrived.clear()


def expect(logger: str, places: Mapping[str, int]) -> None:
    """These are a logger's as soon as they come, each at its place."""
    _expected.pop(logger, None)
    if places:
        _expected[logger] = dict(places)


def absent_of(logger: str) -> list[tuple[str, int]]:
    """What a logger still waits for: tokens and places, in order."""
    return sorted(_expected.get(logger, {}).items(), key=lambda each: each[1])


def handler_reduce(handler: logging.Handler) -> Any:
    """By its token and all that it has, but what each process has of its own."""
    state = dict(vars(handler))
    state.pop("lock", None)
    is_open = None
    if isinstance(handler, logging.FileHandler):
        is_open = state.pop("stream", None) is not None
    return _found, (type(handler), know(handler)), (state, is_open), None, None, _put


def _found(kind: type[logging.Handler], token: str) -> logging.Handler:
    """The one that is here, where the notebook's own names are loaded; a reader of earlier values gets its own."""
    is_notebook = _is_notebook()
    live = _live.get(token) if is_notebook else None
    if live is not None and type(live) is kind:
        return live
    made = kind.__new__(kind)
    logging.Handler.__init__(made)
    if is_notebook:
        know(made, token)
        _arrived.append(made)
        _attach(made, token)
    return made


def _is_notebook() -> bool:
    shell = find_here("shell")
    return shell is not None and shell.user_ns is namespace_here()


def _attach(handler: logging.Handler, token: str) -> None:
    for name, places in list(_expected.items()):
        if token in places:
            place = places.pop(token)
            before = sum(other < place for other in places.values())
            logging.getLogger(name or None).handlers.insert(place - before, handler)


def _put(handler: Any, given: tuple[dict[str, Any], bool | None]) -> None:
    """Have the handler be like that, whoever holds it."""
    state, is_open = given
    held = vars(handler)
    keeps = _OF_PROCESS if is_open is not None else {"lock"}
    for gone in held.keys() - state.keys() - keeps:
        del held[gone]
    held.update(state)
    if handler.name:
        handlers: Any = logging._handlers  # type: ignore[attr-defined]
        handlers[handler.name] = handler
    if is_open is not None:
        _open_or_close(handler, is_open)


def _open_or_close(handler: logging.FileHandler, is_open: bool) -> None:
    stream = vars(handler).setdefault("stream", None)
    if is_open and stream is None:
        open_again(handler)
    elif stream is not None and not is_open:
        handler.stream = None
        stream.close()


def open_again(handler: logging.FileHandler) -> None:
    """Have its file open, to go on at its end, where that is there; else it opens it when it is used."""
    path, called = Path(handler.baseFilename), handler.mode
    handler.mode = _APPENDING
    if path.exists():
        with contextlib.suppress(OSError):  # it says so itself, when it is used
            stream: Any = handler._open()
            stream.mode = handler.mode = called
            handler.stream = stream


def _append(handler: logging.Handler) -> None:
    """Several processes write to its file: none may write where it was before another has."""
    stream = getattr(handler, "stream", None) if isinstance(handler, logging.FileHandler) else None
    if isinstance(stream, io.TextIOWrapper) and not stream.closed:
        descriptor = stream.fileno()
        flags = fcntl.fcntl(descriptor, fcntl.F_GETFL)
        if not flags & os.O_APPEND:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, flags | os.O_APPEND)
