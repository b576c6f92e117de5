"""Watching the memory of one running step, on the worker's loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from cellyard.worker.memory import tree_memory

__all__ = ["MemoryWatch"]

#: With a limit, growth of 10 GiB/s is caught within 100 MiB.
LIMITED_SECONDS, UNLIMITED_SECONDS, REPORT_SECONDS = 0.01, 0.1, 1.0


class MemoryWatch:
    """Samples a step's process tree.

    ``base`` is what the child had at the fork, which is its parent's and does not count. ``report`` gets (now, peak) in
    bytes once a second; ``excess`` gets (used, limit) once, when the step has reached its limit.
    """

    def __init__(
        self,
        pid: int,
        base: int,
        limit: int | None,
        report: Callable[[int, int], None],
        excess: Callable[[int, int], None],
    ) -> None:
        self.base = base
        self.peak = 0
        self._pid = pid
        self._limit = limit
        self._report = report
        self._excess = excess
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Sample until :meth:`stop`."""
        self._task = asyncio.get_running_loop().create_task(self._sample())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def note(self, used: int) -> None:
        """A reading from elsewhere counts for the peak."""
        self.peak = max(self.peak, used)

    async def _sample(self) -> None:
        pause = LIMITED_SECONDS if self._limit else UNLIMITED_SECONDS
        loop = asyncio.get_running_loop()
        reported = loop.time()
        while True:
            await asyncio.sleep(pause)
            used = max(0, tree_memory(self._pid) - self.base)
            self.note(used)
            if self._limit and used >= self._limit:
                self._excess(used, self._limit)
                return
            if loop.time() - reported >= REPORT_SECONDS:
                reported = loop.time()
                self._report(used, self.peak)
