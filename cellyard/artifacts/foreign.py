"""What calls of libraries have set, so that no text of the notebook shows its name: accessors of pandas, methods such
as those of ``tqdm.pandas()``, and some variables of modules.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from typing import Any

from cellyard.artifacts.kinds import package_of

__all__ = ["foreign_attributes"]

_CLASSES = (
    ("pandas.core.frame", "DataFrame"),
    ("pandas.core.series", "Series"),
    ("pandas.core.indexes.base", "Index"),
    ("pandas.core.groupby.generic", "DataFrameGroupBy"),
    ("pandas.core.groupby.generic", "SeriesGroupBy"),
    ("pandas.core.groupby.groupby", "GroupBy"),
    ("pandas.core.window.rolling", "Rolling"),
    ("pandas.core.window.expanding", "Expanding"),
)
_VARIABLES = (("urllib.request", "_opener"), ("nltk.data", "path"))
_seen: dict[tuple[str, str], tuple[int, tuple[str, ...]]] = {}
"""By class: how many attributes it had, and which of them were others'."""


def foreign_attributes() -> Iterator[tuple[Any, str]]:
    """The module or class, and the name."""
    for module, name in _VARIABLES:
        if module in sys.modules and getattr(sys.modules[module], name, None) is not None:
            yield sys.modules[module], name
    if logging.getLoggerClass() is not logging.Logger:  # logging.setLoggerClass
        yield logging, "_loggerClass"
    for module, name in _CLASSES:
        owner = vars(sys.modules[module]).get(name) if module in sys.modules else None
        if owner is None:
            continue
        number, found = _seen.get((module, name), (0, ()))
        if number != len(vars(owner)):
            found = tuple(each for each, value in vars(owner).items() if _is_foreign(value))
            _seen[module, name] = len(vars(owner)), found
        yield from ((owner, each) for each in found)


def _is_foreign(value: Any) -> bool:
    value = getattr(value, "_accessor", value) if package_of(type(value)) == "pandas" else value
    for part in ("__func__", "fget"):
        value = getattr(value, part, value)
    module = getattr(value, "__module__", None)
    return callable(value) and isinstance(module, str) and module.partition(".")[0] not in _OF_PANDAS


_OF_PANDAS = {"pandas", "numpy", "builtins", "functools", "typing", "abc", "collections"}
