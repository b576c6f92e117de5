"""Logging as a part of the process state: levels, their names, and the handlers of which another process can have one.

Those are handlers to stdout, stderr and files, and those that swallow everything. Other handlers stay where they are.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["capture_logging", "set_logging"]

_STYLES = {"PercentStyle": "%", "StrFormatStyle": "{", "StringTemplateStyle": "$"}


def capture_logging() -> dict[str, Any]:
    """Each logger that differs from a new one, by name; the root's name is empty."""
    found = {name: facts for name, logger in _loggers() if (facts := _facts(logger)) != _NEW}
    return {
        "loggers": found,
        "disabled": logging.root.manager.disable,
        "levels": dict(logging._levelToName),
        "warnings": logging._warnings_showwarning is not None,  # type: ignore[attr-defined]
    }


def _loggers() -> Iterator[tuple[str, logging.Logger]]:
    yield "", logging.root
    for name, each in list(logging.root.manager.loggerDict.items()):
        if isinstance(each, logging.Logger):
            yield name, each


_NEW = (0, True, False, ())


def _facts(logger: logging.Logger) -> tuple[Any, ...]:
    handlers = tuple(facts for each in logger.handlers if (facts := _of_handler(each)) is not None)
    return logger.level, logger.propagate, logger.disabled, handlers


def _of_handler(handler: Any) -> tuple[Any, ...] | None:
    """What makes a handler, or None for one that only this process can have."""
    kind = type(handler)
    if handler.filters or (handler.formatter is not None and type(handler.formatter) is not logging.Formatter):
        return None
    if kind is logging.StreamHandler:
        target: Any = _name_of(handler.stream)
    elif kind is logging.FileHandler:
        target = (handler.baseFilename, handler.encoding)
    else:
        target = "" if kind is logging.NullHandler else None
    return None if target is None else (kind.__name__, target, handler.level, _of_formatter(handler.formatter))


def _name_of(stream: Any) -> str | None:
    if stream in {sys.stderr, sys.__stderr__}:
        return "stderr"
    return "stdout" if stream in {sys.stdout, sys.__stdout__} else None


def _of_formatter(formatter: Any) -> tuple[str, str | None, str] | None:
    if formatter is None:
        return None
    return formatter._style._fmt, formatter.datefmt, _STYLES.get(type(formatter._style).__name__, "%")


def set_logging(value: Mapping[str, Any]) -> None:
    """Have the loggers be like that. A logger that is not named is as new, in all that could have been told of it."""
    wanted = value["loggers"]
    for name, logger in list(_loggers()):
        if name not in wanted and _facts(logger) != _NEW:
            _set(logger, _NEW)
    for name, facts in wanted.items():
        logger = logging.getLogger(name or None)
        if _facts(logger) != facts:
            _set(logger, facts)
    if logging.root.manager.disable != value["disabled"]:
        logging.disable(value["disabled"])
    for level, name in value["levels"].items():
        if logging._levelToName.get(level) != name:
            logging.addLevelName(level, name)
    if (logging._warnings_showwarning is not None) != value["warnings"]:  # type: ignore[attr-defined]
        logging.captureWarnings(value["warnings"])


def _set(logger: logging.Logger, facts: tuple[Any, ...]) -> None:
    level, logger.propagate, logger.disabled, handlers = facts
    logger.setLevel(level)
    if tuple(found for each in logger.handlers if (found := _of_handler(each)) is not None) == handlers:
        return
    for each in list(logger.handlers):
        if _of_handler(each) is not None:
            logger.removeHandler(each)
    for each in handlers:
        logger.addHandler(_made(*each))


def _made(kind: str, target: Any, level: int, formatter: tuple[str, str | None, Any] | None) -> logging.Handler:
    made: logging.Handler
    if kind == "StreamHandler":
        made = logging.StreamHandler(getattr(sys, target))
    elif kind == "FileHandler":
        made = logging.FileHandler(target[0], encoding=target[1], delay=True)
    else:
        made = logging.NullHandler()
    made.setLevel(level)
    if formatter is not None:
        made.setFormatter(logging.Formatter(*formatter))
    return made
