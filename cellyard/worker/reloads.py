"""Reloads: modules that a cell has loaded anew (``importlib.reload``), for the notebook's process to do the same."""

from __future__ import annotations

import contextlib
import importlib
import importlib.abc
import io
import sys
import types
from collections.abc import Iterable, Sequence

__all__ = ["RELOADED", "Reloads", "reload_all"]

RELOADED = "reloaded"
"""Their names by this one, beside what else is meant for the kernel alone."""


class Reloads(importlib.abc.MetaPathFinder):
    """Notes what is loaded anew in this process; finds nothing itself."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def watch(self) -> None:
        """From now on."""
        sys.meta_path.insert(0, self)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: types.ModuleType | None = None) -> None:
        """Only who reloads says into which module."""
        if target is not None and fullname not in self.names:
            self.names.append(fullname)


def reload_all(names: Iterable[str]) -> None:
    """Load those of the modules anew that this process has. What they print was seen in the step, as was why one of
    them cannot be loaded."""
    said = io.StringIO()
    for name in names:
        if name in sys.modules:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said), contextlib.suppress(Exception):
                importlib.reload(sys.modules[name])
