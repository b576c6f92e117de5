"""The twin of the local backend: a step pool straight in the calling process, without Dask.

Same promises, own admission. For tests, and where another process is not wanted.
"""

from __future__ import annotations

import asyncio
import functools
import importlib
import time
import traceback
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from cellyard.backends.base import Listener, Message, Offer, StepTask, WorkerSeen, cancelled, check_fits, cost, lost
from cellyard.errors import EngineError
from cellyard.machine import machine_capacity
from cellyard.model.resources import Resources
from cellyard.settings import Settings

__all__ = ["InProcessBackend"]

_CLOSED_WITHIN = 10.0


class InProcessBackend:
    """The contract is ``cellyard.backends.base.Backend``; the parameters are those of the local backend."""

    def __init__(
        self,
        *,
        store: str,
        runtime: Path,
        capacity: Resources,
        cpus: Sequence[int] | None = None,
        pool: str = "cellyard.worker.pool:StepPool",
    ) -> None:
        self.capacity = capacity
        self._store = store
        self._runtime = runtime
        self._cpus = cpus
        self._pool_path = pool
        self._free = cost(capacity)
        self._waiting: dict[str, StepTask] = {}
        self._running: dict[str, asyncio.Task[None]] = {}
        self._begun: set[str] = set()  # of those that run: the ones that the pool has
        self._unwanted: set[str] = set()  # of those that run: cancelled before the pool had them
        self._pool: Any = None

    @classmethod
    def from_settings(cls, settings: Settings) -> InProcessBackend:
        """The backend of these settings, for this machine."""
        return cls(store=settings.store_address, runtime=settings.runtime, capacity=machine_capacity(settings))

    @property
    def offer(self) -> Offer:
        """This machine."""
        return Offer(capacity=self.capacity)

    @property
    def workers(self) -> tuple[WorkerSeen, ...]:
        """This process."""
        if self._pool is None:
            return ()
        return (WorkerSeen(name="local", state="busy" if self._running else "idle", resources=self.capacity),)

    @property
    def dashboard(self) -> str:
        """None: there is no Dask."""
        return ""

    def start_process(self) -> None:
        """Nothing: there is no other process to start ahead."""

    async def start(self, listener: Listener) -> None:
        """Start the step pool; see the contract."""
        self._listener = listener
        module, _, name = self._pool_path.partition(":")
        factory = getattr(importlib.import_module(module), name)
        self._pool = factory(
            store=self._store, runtime=self._runtime, cpus=self._cpus, gpus=self.capacity.gpu, parent=None
        )
        await self._pool.start()

    async def submit(self, task: StepTask) -> None:
        """Queue a step; see the contract."""
        check_fits(task, self.capacity)
        if self._pool is None:
            raise EngineError("The in-process backend is not running.")
        self._waiting[task.token] = task
        self._admit()

    async def interrupt(self, token: str) -> None:
        """Interrupt a step; see the contract."""
        if token in self._begun:
            self._pool.interrupt(token)
        else:
            self._take_out(token)

    async def cancel(self, token: str) -> None:
        """Cancel a step; see the contract."""
        if token in self._begun:
            self._pool.kill(token)
        else:
            self._take_out(token)

    async def settled(self, token: str) -> None:
        """Nothing: of a step that has ended nothing is kept."""

    async def close(self) -> None:
        """End the pool and all its steps; see the contract."""
        pool, self._pool = self._pool, None
        if pool is None:
            return
        waiting, self._waiting = self._waiting, {}
        for task in waiting.values():
            self._listener(task.token, [lost(task.name, worker="in_process", cause="The backend was closed.")])
        await pool.close()
        if self._running:
            _, late = await asyncio.wait(self._running.values(), timeout=_CLOSED_WITHIN)
            for each in late:
                each.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _admit(self) -> None:
        """Start those at the head of the queue that fit beside what runs."""
        while self._waiting and self._pool is not None:
            task = next(iter(self._waiting.values()))
            price = cost(task.resources)
            if any(self._free.get(kind, amount) < amount for kind, amount in price.items()):
                return
            del self._waiting[task.token]
            self._take(price, -1)
            running = asyncio.create_task(self._run(task))
            self._running[task.token] = running
            running.add_done_callback(functools.partial(self._over, task))

    def _take(self, price: dict[str, int], sign: int) -> None:
        for kind in price.keys() & self._free.keys():
            self._free[kind] += sign * price[kind]

    async def _run(self, task: StepTask) -> None:
        ended = False

        def emit(messages: list[Message]) -> None:
            nonlocal ended
            if not ended:
                ended = any(each["kind"] == "finished" for each in messages)
                self._listener(task.token, messages)

        cause = "It ended without a result."
        if task.token in self._unwanted:
            self._unwanted.discard(task.token)
            emit([cancelled(task.name)])
            return
        self._begun.add(task.token)
        emit([{"kind": "starting", "time": time.time()}])
        try:
            await self._pool.run(task.to_dict(), emit)
        except Exception as error:  # noqa: BLE001 - whatever broke, the step must get its last message
            traceback.print_exc()
            cause = f"{type(error).__name__}: {error}"
        finally:
            self._begun.discard(task.token)
            if not ended:
                emit([lost(task.name, worker="in_process", cause=cause)])

    def _over(self, task: StepTask, _: asyncio.Task[None]) -> None:
        del self._running[task.token]
        self._take(cost(task.resources), 1)
        self._admit()

    def _take_out(self, token: str) -> None:
        task = self._waiting.pop(token, None)
        if task is not None:
            self._listener(token, [cancelled(task.name)])
            self._admit()
        elif token in self._running:
            self._unwanted.add(token)  # admitted, and not yet begun
