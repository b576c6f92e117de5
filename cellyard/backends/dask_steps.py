"""What runs on a Dask worker: one asynchronous task per step, handed to the worker's step pool.

A step's messages leave by ``Worker.log_event``, or a shorter way, numbered and already packed, so that neither Dask nor
the scheduler's plugin has to look into them. Knows nothing of the link: the same module serves a worker anywhere.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from distributed import Worker, WorkerPlugin, get_worker

from cellyard.backends.base import Message
from cellyard.worker.link import pack, unpack

__all__ = ["PLUGIN", "Admitted", "Pool", "StepPlugin", "run_step"]

PLUGIN = "cellyard-steps"

Admitted = Callable[[str], Awaitable[bool]]


class Pool(Protocol):
    """What a worker needs of ``cellyard.worker.pool.StepPool``."""

    async def start(self) -> None: ...
    async def run(self, task: dict[str, Any], emit: Callable[[list[Message]], None]) -> None: ...
    def interrupt(self, token: str) -> bool: ...
    def kill(self, token: str) -> bool: ...
    def pids(self) -> set[int]: ...
    async def close(self) -> None: ...


class StepPlugin(WorkerPlugin):
    """Gives a worker its step pool, for as long as the worker lives.

    ``admitted`` is asked right before a step begins; False: the step is not wanted any more. ``topic`` is where
    messages go, and the name of the plugin.
    """

    def __init__(self, pool: Pool, admitted: Admitted, *, topic: str = PLUGIN) -> None:
        self.pool = pool
        self.name = self.topic = topic
        self._admitted = admitted
        self._closing: asyncio.Future[None] | None = None

    async def setup(self, worker: Worker) -> None:
        """Start the pool beside the worker."""
        self.worker = worker
        await self.pool.start()

    async def teardown(self, worker: Worker) -> None:
        """End the pool and all its children."""
        await self.close()

    async def close(self) -> None:
        """End the pool while the worker still lives, so that the last messages get out. Once is enough."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self.pool.close())
        await self._closing

    async def run(self, packed: bytes) -> None:
        """Run one step (a packed StepTask) and log its messages; returns after the last."""
        task = unpack(packed)
        token: str = task["token"]
        if not await self._admitted(token):
            return
        numbers = itertools.count(1)

        def emit(messages: list[Message]) -> None:
            self.tell(token, next(numbers), messages)

        await self.pool.run(task, emit)

    def tell(self, token: str, number: int, messages: list[Message]) -> None:
        """Pass on a batch of a step's messages; the first has number 1, and none is left out."""
        ended = any(each["kind"] == "finished" for each in messages)
        self.deliver(token, number, ended, pack(["messages", token, messages, number]))

    def deliver(self, token: str, number: int, ended: bool, packed: bytes) -> None:
        """Send a packed batch on its way."""
        self.worker.log_event(self.topic, {"token": token, "number": number, "ended": ended, "packed": packed})


async def run_step(packed: bytes, plugin: str = PLUGIN) -> None:
    """The Dask task. Asynchronous, so that it runs on the worker's loop without a thread of its own."""
    found = get_worker().plugins[plugin]
    assert isinstance(found, StepPlugin)
    await found.run(packed)
