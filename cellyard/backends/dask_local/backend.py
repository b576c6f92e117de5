"""The engine's side of the local backend. Does not import Dask; safe to import early.

Every step that was submitted is in one table until its last message. The Dask process gets those that wait,
in order, whenever one is ready; when it dies, what had begun is lost and the rest goes to the next.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cellyard.backends.base import Listener, Message, StepTask, cancelled, check_fits, cost, lost
from cellyard.backends.dask_local.process import DaskProcess
from cellyard.errors import EngineError
from cellyard.model.resources import Resources
from cellyard.worker.link import Frame, Link, pack

__all__ = ["DaskLocalBackend"]

_READY_WITHIN = 60.0
_DEAD_WITHIN = 2.0
"""Seconds that a process whose link has closed may take to end by itself."""
_CLOSED_WITHIN = 12.0

_MOST_DEATHS = 5
_DEATHS_WITHIN = 60.0
_PAUSES = (0.0, 0.2, 0.5, 1.0)
"""Seconds before the next start, after the first, second ... death in a row."""


@dataclass(slots=True)
class _Live:
    """A step between ``submit`` and its last message."""

    task: StepTask
    begun: bool = False
    unwanted: bool = False  # asked to end while it waited, as far as we knew
    peak: int = 0


class DaskLocalBackend:
    """Steps as tasks of a Dask scheduler on this machine; the contract is ``cellyard.backends.base.Backend``.

    ``store`` and ``runtime`` are handed to the worker's step pool, as are ``cpus`` (the CPUs that steps may
    be bound to; None: all of this process). ``pool`` names the pool's class.
    """

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
        self._config: dict[str, Any] = {
            "store": store,
            "runtime": str(runtime),
            "cpus": None if cpus is None else list(cpus),
            "gpus": capacity.gpu,
            "resources": cost(capacity),
            "pool": pool,
        }
        self._process: DaskProcess | None = None
        self._link: Link | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._live: dict[str, _Live] = {}
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        self._failure: str | None = None
        self._ready = asyncio.Event()
        self._gone = asyncio.Event()
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The Dask process, while there is one."""
        return self._process.pid if self._process is not None else None

    def start_process(self) -> None:
        """Start the Dask process ahead of :meth:`start`, without a loop: it imports while the caller does.

        Call it on the main thread (see :meth:`DaskProcess.spawn`).
        """
        if self._process is None:
            self._process = DaskProcess.spawn(self._config)

    async def start(self, listener: Listener) -> None:
        """Start, or take over, the Dask process; see the contract."""
        self._listener = listener
        self._supervisor = asyncio.create_task(self._supervise())

    async def wait_ready(self, timeout: float = _READY_WITHIN) -> None:
        """Return once the Dask process can run steps. Nobody needs to wait for that before ``submit``.

        Raises EngineError when it gave up, or took longer than that many seconds.
        """
        if self._supervisor is None:
            raise EngineError("The local backend is not running.")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._supervisor], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self._ready.is_set():
            reason = self._failure or f"It was not ready within {timeout:g} s"
            raise EngineError(f"The local Dask process did not start. {reason}.")

    async def submit(self, task: StepTask) -> None:
        """Queue a step; see the contract."""
        check_fits(task, self.capacity)
        self._check_alive()
        self._live[task.token] = _Live(task)
        if self._ready.is_set():
            self._send(task)

    async def interrupt(self, token: str) -> None:
        """Interrupt a step; see the contract."""
        await self._end("interrupt", token)

    async def cancel(self, token: str) -> None:
        """Cancel a step; see the contract."""
        await self._end("cancel", token)

    async def close(self) -> None:
        """End the Dask process and all its steps; see the contract."""
        self._closing = True
        if self._link is not None and self._ready.is_set():
            self._link.send("close")
        elif self._process is not None:
            self._process.kill()  # nothing runs in it yet
        if self._supervisor is not None:
            await self._supervisor
        elif self._process is not None:
            self._process.sock.close()
            self._process = None
        self._lose_all("The engine was closed.")

    # The Dask process, from one death to the next.

    async def _supervise(self) -> None:
        while not self._closing:
            self.start_process()
            assert self._process is not None
            process = self._process
            self._gone.clear()
            self._link = await Link.open(process.sock, self._on_frame, self._on_lost)
            how = await self._watch(process)
            await self._link.close()
            self._process = self._link = None
            if not self._closing:
                await self._bury(f"The Dask process (pid {process.pid}) {how}.")
            if self._failure is not None:
                return

    def _on_lost(self) -> None:
        self._ready.clear()
        self._gone.set()

    async def _watch(self, process: DaskProcess) -> str:
        """Return how the process ended, once it has."""
        ready = asyncio.create_task(self._ready.wait())
        gone = asyncio.create_task(self._gone.wait())
        await asyncio.wait([ready, gone], timeout=_READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not gone.done() and not self._ready.is_set():
            gone.cancel()
            return f"was not ready within {_READY_WITHIN:g} s and {process.kill()}"
        await gone
        return await process.ended(_CLOSED_WITHIN if self._closing else _DEAD_WITHIN)

    async def _bury(self, cause: str) -> None:
        for token, live in list(self._live.items()):
            if live.begun:
                self._lose(token, live, cause)
            elif live.unwanted:  # the process died before it could say so
                self._deliver(token, [cancelled(live.task.name)])
        now = time.monotonic()
        self._deaths.append(now)
        recent = [each for each in self._deaths if now - each < _DEATHS_WITHIN]
        if len(recent) >= _MOST_DEATHS:
            self._failure = f"{cause} It died {len(recent)} times in a minute; the engine's log tells more"
            self._lose_all(self._failure)
            return
        await asyncio.sleep(_PAUSES[min(len(recent), len(_PAUSES)) - 1])

    def _check_alive(self) -> None:
        """Raise EngineError while the process keeps dying; try again once the last death is long ago."""
        if self._closing or self._supervisor is None:
            raise EngineError("The local backend is not running.")
        if self._failure is None:
            return
        if time.monotonic() - self._deaths[-1] < _DEATHS_WITHIN:
            raise EngineError(f"No step can run on this machine. {self._failure}.")
        self._failure = None
        self._supervisor = asyncio.create_task(self._supervise())

    # Steps.

    def _send(self, task: StepTask) -> None:
        assert self._link is not None
        # What the capacity does not count (memory, when it is unknown) no worker could ever grant.
        price = {kind: n for kind, n in cost(task.resources).items() if kind in self._config["resources"]}
        self._link.send("submit", task.token, task.name, price, pack(task.to_dict()))

    async def _end(self, how: str, token: str) -> None:
        live = self._live.get(token)
        if live is None:
            return
        live.unwanted = not live.begun
        if self._ready.is_set() and self._link is not None:
            self._link.send(how, token)
        elif not live.begun:
            self._deliver(token, [cancelled(live.task.name)])

    def _on_frame(self, frame: Frame) -> None:
        match frame:
            case ["messages", token, messages]:
                self._deliver(token, messages)
            case ["begun", token]:
                if token in self._live:
                    self._live[token].begun = True
            case ["ready", _]:
                self._ready.set()
                for live in self._live.values():
                    self._send(live.task)

    def _deliver(self, token: str, messages: list[Message]) -> None:
        live = self._live.get(token)
        if live is None:
            return
        for each in messages:
            if each["kind"] == "memory":
                live.peak = max(live.peak, each["peak"])
        if messages and messages[-1]["kind"] == "finished":
            del self._live[token]
        self._listener(token, messages)

    def _lose(self, token: str, live: _Live, cause: str) -> None:
        self._deliver(token, [lost(live.task.name, worker="local", cause=cause, peak=live.peak)])

    def _lose_all(self, cause: str) -> None:
        for token, live in list(self._live.items()):
            self._lose(token, live, cause)
