"""A real scheduler, worker and client in one event loop, connected in memory: no port and no thread per step.

Expects the configuration of ``dask_config``, made before distributed was imported.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import distributed.scheduler
from distributed import Client, Future, Scheduler, SchedulerPlugin, Status, Worker
from distributed.comm.inproc import global_manager

from cellyard.backends.dask_config import MESSAGE_INTERVAL
from cellyard.backends.dask_steps import StepPlugin, run_step

__all__ = ["THREADS", "Key", "LocalCluster"]

Key = tuple[str, str]
"""The first part groups all steps, so that Dask does not keep statistics per token."""

THREADS = 10_000
"""The most steps at once. They are asynchronous tasks, so this makes no threads; resources are the limit."""

_CLOSE_TIMEOUT = 5.0

T = TypeVar("T")


async def _at_once(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Stands in for Dask's offload, with which the scheduler unpacks graphs on another thread.

    Ours have one task, and are unpacked in less time than waking a thread takes.
    """
    return function(*args, **kwargs)


class _Scheduler(Scheduler):
    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """None: Dask would open a TCP port for it whatever its settings say."""


class _Worker(Worker):
    def start_http_server(self, *args: Any, **kwargs: Any) -> None:
        """None, as in the scheduler."""


class LocalCluster:
    """Scheduler, worker and client; ``resources`` are what tasks may take together, ``folder`` is Dask's own."""

    def __init__(self, resources: Mapping[str, int], folder: Path, steps: StepPlugin, watch: SchedulerPlugin) -> None:
        self._resources = resources
        self._folder = folder
        self._steps = steps
        self._watch = watch

    async def start(self) -> None:
        """Start the three, connected and quick."""
        # The address is only a name here; finding out the machine's real one asks the network, and may hang.
        global_manager._ip = "127.0.0.1"
        scheduling: Any = distributed.scheduler
        scheduling.offload = _at_once
        # Without Dask's extensions (queues, locks, spans, shuffles): some keep a note of every task for ever.
        self.scheduler = await _Scheduler(
            protocol="inproc://", port=0, dashboard=False, plugins=[self._watch], extensions={}
        )
        self.worker = await _Worker(
            self.scheduler.address,
            name="local",
            local_directory=str(self._folder),
            nthreads=THREADS,
            resources=dict(self._resources),
            memory_limit=0,  # no values live here, and the pool watches the steps
            plugins=(self._steps,),
            extensions={},
        )
        self.client: Any = await Client(  # type: ignore[no-untyped-call]
            self.scheduler.address, asynchronous=True, set_as_default=False
        )
        for stream in self.streams():
            stream.interval = min(stream.interval, MESSAGE_INTERVAL)

    def streams(self) -> list[Any]:
        """The batched connections that a step's messages pass. Not Dask's public API: a test looks for them."""
        return [
            self.client.scheduler_comm,
            self.scheduler.client_comms[self.client.id],
            self.scheduler.stream_comms[self.worker.address],
            self.worker.batched_stream,
        ]

    def submit(self, key: Key, packed: bytes, resources: Mapping[str, int], position: int) -> Future[None]:
        """Queue a step. Of the tasks that wait, the worker starts the lowest position first."""
        future: Future[None] = self.client.submit(
            run_step, packed, key=key, pure=False, retries=0, resources=dict(resources), priority=-position
        )
        return future

    async def cancel(self, future: Future[None]) -> None:
        """Forget a task that waits. The scheduler must have it already, else it would keep it for ever."""
        await self.client.cancel([future], force=True)

    def failure(self, key: Key) -> str:
        """Why a task failed, as Dask tells it."""
        task = self.scheduler.tasks.get(key)
        return str(task.exception_text) if task is not None else "Dask forgot it"

    async def broken(self, poll: float = 0.5) -> str:
        """Return, with the reason, when scheduler or worker is no longer running though nobody closed it."""
        while True:
            for each in (self.scheduler, self.worker):
                if each.status != Status.running:
                    return f"{type(each).__name__.strip('_').lower()} is {each.status.name}"
            await asyncio.sleep(poll)

    async def close(self) -> None:
        """Close all three, the pool of the worker with it."""
        for each in (self.client, self.worker, self.scheduler):
            await asyncio.wait_for(each.close(), _CLOSE_TIMEOUT)
