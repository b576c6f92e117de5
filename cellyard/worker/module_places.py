"""Where local modules lie: a value may come to a process when ``sys.path`` no longer leads to its module, which a plain
cell that had imported it would still have."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable
from typing import TypeVar

from cellyard.worker.local_modules import local_folders

__all__ = ["PLACES", "ModulePlaces"]

PLACES = "module_places"
"""The key under which they go with a step, and come back with what it has made."""

_T = TypeVar("_T")


class ModulePlaces:
    """Folders that have been on the path, told by modules of this process and by others that have them."""

    def __init__(self, told: Iterable[str] = ()) -> None:
        self._known = dict.fromkeys(told)

    def add(self, told: Iterable[str]) -> None:
        """Another process has modules from these."""
        self._known.update(dict.fromkeys(told))

    def known(self) -> list[str]:
        """All of them."""
        self.add(local_folders())
        return list(self._known)

    def gone(self) -> list[str]:
        """Those to which the path does not lead now."""
        return [place for place in self.known() if place not in sys.path]

    def tried(self, call: Callable[[], _T]) -> _T:
        """What the call returns; it is made once more with all these folders where it does not find a module."""
        try:
            return call()
        except ModuleNotFoundError:
            gone = self.gone()
            if not gone:
                raise
        sys.path.extend(gone)
        try:
            return call()
        finally:
            for place in gone:
                with contextlib.suppress(ValueError):  # a module has taken it away itself
                    sys.path.remove(place)
