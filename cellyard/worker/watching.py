"""Watching the memory of one running step, on the worker's loop."""

from __future__ import annotations

import asyncio
from typing import Any, Protocol

from cellyard.worker.curve import Curve
from cellyard.worker.memory import TreeMemory, process_tree, tree_cpu

__all__ = ["MemoryWatch", "Watched"]

#: With a limit, growth of 10 GiB/s is caught within 100 MiB.
LIMITED_SECONDS, UNLIMITED_SECONDS, REPORT_SECONDS = 0.01, 0.1, 1.0
FIRST_LOOK = 256 << 20
"""Bytes from which on it is looked at what they are used for, where there is no limit; each time at a quarter more."""
GRACE_SECONDS = 0.5
"""How long a step at its limit may take to say what it holds and where it is."""
GRACE, GRACE_BYTES = 0.03, 16 << 20
"""How far beyond the limit it may go meanwhile: that share of it, or so many bytes if that is more."""


class Watched(Protocol):
    """What is told of a step's memory."""

    def on_memory(self, now: int, peak: int, cpu: float) -> None:
        """Once a second: bytes now and at most so far, and CPU seconds."""

    async def on_excess(self, used: int, limit: int) -> None:
        """Once, when the step has reached its limit and has said, or had time to say, what it holds."""

    def ask_for_objects(self) -> None:
        """The step is large enough to be asked for its largest objects."""

    def ask_for_last_words(self) -> None:
        """The step has reached its limit: what it holds, and where it is; :meth:`MemoryWatch.answered` is its
        answer."""


class MemoryWatch:
    """Samples a step's process tree. ``base`` is what the child had at the fork, which is its parent's and does not
    count."""

    def __init__(self, pid: int, base: int, limit: int | None, watched: Watched) -> None:
        self.base = base
        self.peak = 0
        self._pid = pid
        self._limit = limit
        self._watched = watched
        self._base_cpu = 0.0
        self._began = 0.0
        self._curve = Curve()
        self._task: asyncio.Task[None] | None = None
        self._ask_at = limit // 2 if limit else FIRST_LOOK
        self._deadline: float | None = None
        self._is_answered = False
        self._used = 0

    def start(self) -> None:
        """Sample until :meth:`stop`."""
        loop = asyncio.get_running_loop()
        self._began = loop.time()
        self._task = loop.create_task(self._sample())

    def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def note(self, used: int) -> None:
        """A reading from elsewhere counts for the peak."""
        self.peak = max(self.peak, used)
        self._used = used

    def answered(self) -> None:
        """The step has said its last words."""
        self._is_answered = True

    def samples(self, cpu: float | None = None) -> list[list[Any]]:
        """The step's memory so far: seconds, bytes, CPU seconds. Empty for one that was over at once."""
        if not self._began:
            return []
        seconds = asyncio.get_running_loop().time() - self._began
        last = self._curve.points[-1][2] if self._curve.points else 0.0
        return self._curve.end(seconds, self._used, last if cpu is None else cpu)

    async def _sample(self) -> None:
        pause = LIMITED_SECONDS if self._limit else UNLIMITED_SECONDS
        loop = asyncio.get_running_loop()
        reported = loop.time()
        self._base_cpu = tree_cpu([self._pid])
        tree = TreeMemory(self._pid, self.base)
        while True:
            await asyncio.sleep(pause)
            now = loop.time()
            used = tree.used()
            self.note(used)
            if self._curve.note(now - self._began, used):
                self._curve.add(now - self._began, self._cpu())
            self._look_inside(used)
            if self._limit and used >= self._limit and self._is_too_much(used, now):
                await self._watched.on_excess(used, self._limit)
                return
            if now - reported >= REPORT_SECONDS:
                reported = now
                self._watched.on_memory(used, self.peak, self._cpu())

    def _cpu(self) -> float:
        return max(0.0, tree_cpu(process_tree(self._pid)) - self._base_cpu)

    def _look_inside(self, used: int) -> None:
        if used < self._ask_at or (self._limit and used >= self._limit):
            return
        self._ask_at = used + (self._limit // 10 if self._limit else used // 4)
        self._watched.ask_for_objects()

    def _is_too_much(self, used: int, now: float) -> bool:
        """Whether a step at its limit has told what it holds, or has taken too long, or grown too far."""
        assert self._limit is not None
        if self._deadline is None:
            self._deadline = now + GRACE_SECONDS
            self._watched.ask_for_last_words()
        beyond = used - self._limit
        return self._is_answered or now > self._deadline or beyond > max(self._limit * GRACE, GRACE_BYTES)
