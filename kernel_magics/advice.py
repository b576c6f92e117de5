"""Advice: what to do about an exception of a step that has to do with where it ran."""

from __future__ import annotations

import errno
import importlib.util
import re
import socket
from collections.abc import Mapping
from typing import Any

__all__ = ["advice"]

_MODULE = re.compile(r"No module named '([^']+)'")
_ERRNO = re.compile(r"\[Errno (\d+)\]")


def advice(error: Mapping[str, Any], *, worker: str = "") -> str:
    """A sentence, or nothing where the exception speaks for itself. ``worker`` is the name of the one it was on."""
    is_elsewhere = worker.partition(":")[0] != socket.gethostname()
    if error["type"] in ("ModuleNotFoundError", "ImportError") and (found := _MODULE.search(error["message"])):
        return _module(found[1], is_elsewhere=is_elsewhere)
    found = _ERRNO.search(error["message"])
    number = int(found[1]) if found else 0
    if number == errno.ENOSPC:
        more = "ask for more with --disk" if is_elsewhere else "write elsewhere"
        return f"the disk that the step wrote to is full: free some of it, or {more}"
    if number == errno.EDQUOT:
        return "the quota of the place that the step wrote to is used up: free some of it, or write elsewhere"
    if error["type"] in ("MemoryError", "_ArrayMemoryError"):
        return "no such amount of memory could be had at once: ask for a larger --memory, or make less at a time"
    return ""


def _module(name: str, *, is_elsewhere: bool) -> str:
    package, _, inner = name.rpartition(".")
    if package:  # which was found, or it would be the one that is missing
        return f"{package!r} was found, and has no {inner!r} in it: is that its name, in the version that is installed?"
    try:
        is_here = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        is_here = False
    if not is_here:
        return f"{name!r} is installed neither here nor on the worker: install it here, then execute the cell again"
    if not is_elsewhere:  # one environment
        return ""
    return f"{name!r} is installed here and not on the worker: import it in the notebook, so that it goes along"
