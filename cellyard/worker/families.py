"""Families: the step parents of a worker, one lot per folder of packages that the image lacks.

Steps that need nothing beside the image share the parents *at home*. Of the others those are kept that were used last.
"""

from __future__ import annotations

import contextlib
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator

from cellyard.worker.forks import Parents

__all__ = ["Families"]

#: Folders whose parents are kept though no step uses them now.
KEPT = 1


class Families:
    """Gives out parents by folder; ``at_home`` are those of the image alone. All use the store of one address."""

    def __init__(self, at_home: Parents, store: str = "") -> None:
        self.at_home = at_home
        self._store = store
        self._by_folder: OrderedDict[str, Parents] = OrderedDict()
        self._users: Counter[str] = Counter()

    async def start(self) -> None:
        """Start the parents at home."""
        await self.at_home.start()

    @contextlib.asynccontextmanager
    async def using(self, folder: str) -> AsyncIterator[Parents]:
        """The parents that have this folder on their path, started now if need be, and kept for the block."""
        if not folder:
            yield self.at_home
            return
        parents = self._by_folder.get(folder)
        if parents is None:
            parents = self._by_folder[folder] = Parents(None, folder, self._store)
            await parents.start()
        self._by_folder.move_to_end(folder)
        self._users[folder] += 1
        try:
            yield parents
        finally:
            self._users[folder] -= 1
            await self._let_go()

    async def _let_go(self) -> None:
        unused = [folder for folder in self._by_folder if not self._users[folder]]
        for folder in unused[: max(0, len(unused) - KEPT)]:
            await self._by_folder.pop(folder).close()

    def pids(self) -> set[int]:
        """The processes of all parents."""
        every = (self.at_home, *self._by_folder.values())
        return {pid for parents in every for pid in parents.pids()}

    async def close(self) -> None:
        """End all parents."""
        for parents in (self.at_home, *self._by_folder.values()):
            await parents.close()
        self._by_folder.clear()
