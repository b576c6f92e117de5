"""Copies that are let go because a step has made what they stood for anew."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from typing import Any

from cellyard.artifacts.kinds import package_of

__all__ = ["silence"]


def silence(values: Iterable[Any]) -> None:
    """What shows something when it is let go does not: a bar of tqdm that is not finished prints its last line, and
    in the notebook it goes on."""
    if "tqdm" not in sys.modules:
        return
    for value in values:
        for each in _with_parts(value):
            if package_of(type(each)) == "tqdm" and hasattr(each, "disable"):
                each.disable = True


def _with_parts(value: Any) -> Iterator[Any]:
    yield value
    if type(value) in (list, tuple):
        yield from value
    elif type(value) is dict:
        yield from value.values()
