"""Logging as a part of the process state: levels, their names, and which handlers each logger has, in order.

Of handlers to stdout, stderr and files, and those that swallow everything, it is also said how to make one. Others come
beside the state, as values, if they can travel; those that cannot stay where they are.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any, cast

from cellyard.artifacts import handlers
from cellyard.artifacts.handlers import loggers
from cellyard.artifacts.kinds import package_of

__all__ = ["capture_logging", "handlers_beside", "set_logging"]

_STYLES = {"PercentStyle": "%", "StrFormatStyle": "{", "StringTemplateStyle": "$"}
_OF_KERNELS = {"ipykernel", "traitlets", "distributed", "tornado", "cellyard", "kernel_magics"}
_Formatting = tuple[str, str | None, str, str]
_Recipe = tuple[Any, ...]
_Entry = tuple[str, _Recipe | None]


def capture_logging() -> dict[str, Any]:
    """Each logger that differs from a new one, by name; the root's name is empty."""
    found = {name: facts for name, logger in loggers() if (facts := _facts(name, logger)) != _NEW}
    return {
        "loggers": found,
        "disabled": logging.root.manager.disable,
        "levels": dict(logging._levelToName),
        "warnings": logging._warnings_showwarning is not None,  # type: ignore[attr-defined]
    }


def handlers_beside() -> Iterator[logging.Handler]:
    """Those of loggers that come beside the state, if they can."""
    seen: set[int] = set()
    for _, logger in loggers():
        for each in logger.handlers:
            if id(each) not in seen and _is_own(each) and _recipe(each) is None:
                seen.add(id(each))
                yield each


def _is_own(handler: Any) -> bool:
    """Whether it may be the notebook's: a kernel's own log goes to the kernel's terminal."""
    parts = (handler, handler.formatter)
    if any(package_of(type(each)) in _OF_KERNELS for each in parts):
        return False
    return isinstance(handler, logging.FileHandler) or getattr(handler, "stream", None) not in {
        sys.__stdout__,
        sys.__stderr__,
    } - {sys.stdout, sys.stderr, None}


_NEW = (0, True, False, ())


def _facts(name: str, logger: logging.Logger) -> tuple[Any, ...]:
    return (
        logger.level,
        logger.propagate,
        logger.disabled,
        tuple(_entries(name, logger)) if _has_any(name, logger) else (),
    )


def _has_any(name: str, logger: logging.Logger) -> bool:
    return bool(logger.handlers or handlers.absent_of(name))


def _entries(name: str, logger: logging.Logger) -> list[_Entry]:
    """Its handlers that others know of, also those that have not come here."""
    found = [entry for each in logger.handlers if (entry := _entry(each)) is not None]
    for token, place in handlers.absent_of(name):
        found.insert(place, (token, None))
    return found


def _entry(handler: Any) -> _Entry | None:
    recipe = _recipe(handler)
    token = handlers.token_of(handler) if recipe is None else handlers.know(handler)
    return None if token is None else (token, recipe)


def _recipe(handler: Any) -> _Recipe | None:
    """What makes a handler, or None for one that no recipe makes."""
    kind = type(handler)
    if handler.filters or (handler.formatter is not None and type(handler.formatter) is not logging.Formatter):
        return None
    if kind is logging.StreamHandler:
        target: Any = _name_of(handler.stream)
    elif kind is logging.FileHandler:
        target = (handler.baseFilename, handler.mode, handler.encoding, handler.delay)
    else:
        target = "" if kind is logging.NullHandler else None
    made = (kind.__name__, target, handler.name, handler.level, _of_formatter(handler.formatter))
    return None if target is None else made


def _name_of(stream: Any) -> str | None:
    if stream in {sys.stderr, sys.__stderr__}:
        return "stderr"
    return "stdout" if stream in {sys.stdout, sys.__stdout__} else None


def _of_formatter(formatter: Any) -> _Formatting | None:
    """What it writes, and its token."""
    if formatter is None:
        return None
    style = _STYLES.get(type(formatter._style).__name__, "%")
    return formatter._style._fmt, formatter.datefmt, style, handlers.formatter_token(formatter)


def _formatter(wanted: _Formatting | None) -> logging.Formatter | None:
    """The formatter of that token, writing that."""
    if wanted is None:
        return None
    *writes, token = wanted
    made: Any = logging.Formatter(*writes)  # type: ignore[arg-type]
    found = handlers.find_formatter(token)
    if found is None:
        handlers.know_formatter(made, token)
        return cast("logging.Formatter", made)
    if _of_formatter(found) != wanted:
        vars(found).update(vars(made))
    return found


def set_logging(value: Mapping[str, Any]) -> None:
    """Have the loggers be like that. A logger that is not named is as new, in all that could have been told of it."""
    wanted = value["loggers"]
    for name, logger in list(loggers()):
        if name not in wanted and _facts(name, logger) != _NEW:
            _set(name, logger, _NEW)
    for name, facts in wanted.items():
        logger = logging.getLogger(name or None)
        if _facts(name, logger) != facts:
            _set(name, logger, facts)
    if logging.root.manager.disable != value["disabled"]:
        logging.disable(value["disabled"])
    for level, name in value["levels"].items():
        if logging._levelToName.get(level) != name:
            logging.addLevelName(level, name)
    if (logging._warnings_showwarning is not None) != value["warnings"]:  # type: ignore[attr-defined]
        logging.captureWarnings(value["warnings"])
    handlers.settled()


def _set(name: str, logger: logging.Logger, facts: tuple[Any, ...]) -> None:
    level, logger.propagate, logger.disabled, entries = facts
    logger.setLevel(level)
    if tuple(_entries(name, logger)) == entries:
        return
    stay = [each for each in logger.handlers if _entry(each) is None]
    found = [(token, _made(token, recipe)) for token, recipe in entries]
    handlers.expect(name, {token: place for place, (token, made) in enumerate(found) if made is None})
    # The list stays the one that the notebook may have a name for.
    logger.handlers[:] = [*stay, *(made for _, made in found if made is not None)]


def _made(token: str, recipe: _Recipe | None) -> logging.Handler | None:
    """The handler of that token as it is to be, or None where it has yet to come."""
    found = handlers.find(token)
    if recipe is None:
        return found
    kind, target, name, level, formatter = recipe
    if found is None:
        found = _new(kind, target)
        handlers.know(found, token)
    if _recipe(found) != recipe:
        found.set_name(name)
        found.setLevel(level)
        if _of_formatter(found.formatter) != formatter:
            found.setFormatter(_formatter(formatter))
    return found


def _new(kind: str, target: Any) -> logging.Handler:
    if kind == "StreamHandler":
        return logging.StreamHandler(getattr(sys, target))
    if kind != "FileHandler":
        return logging.NullHandler()
    path, mode, encoding, delay = target
    made = logging.FileHandler(path, mode, encoding=encoding, delay=True)
    made.delay = delay
    handlers.open_again(made)
    return made
