"""The engine's side of a backend whose work is done by a process of its own beside the engine. Imports no Dask.

Every step that was submitted is in one table until its last message. The process gets those that wait, in order,
whenever it is ready; when it dies, another is started. What becomes of steps that had begun is the backend's to say.

    to the process     ["submit", token, …]  ["interrupt", token]  ["cancel", token]  ["close"]
    from the process   ["ready", pid]  ["begun", token]  ["messages", token, [message, ...], number]
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from dataclasses import dataclass
from typing import Any, ClassVar

from cellyard.backends.base import Listener, Message, StepTask, WorkerSeen, cancelled, lost
from cellyard.backends.host_process import HostProcess
from cellyard.errors import EngineError
from cellyard.model.resources import Resources
from cellyard.worker.link import Frame, Link

__all__ = ["HostedBackend", "LiveTask"]

_READY_WITHIN = 60.0
_DEAD_WITHIN = 2.0
"""Seconds that a process whose link has closed may take to end by itself."""

_MOST_DEATHS = 5
_DEATHS_WITHIN = 60.0
_PAUSES = (0.0, 0.2, 0.5, 1.0)
"""Seconds before the next start, after the first, second ... death in a row."""


@dataclass(slots=True)
class LiveTask:
    """A step between ``submit`` and its last message; ``number`` is that of the last batch of messages."""

    task: StepTask
    begun: bool = False
    unwanted: bool = False  # asked to end while it waited, as far as we knew
    peak: int = 0
    number: int = 0


class HostedBackend:
    """The common part. ``module`` is the process's main module, started with ``config`` as its first frame."""

    module: ClassVar[str]
    title: ClassVar[str]
    """How errors call the process: "The Dask process"."""
    place: ClassVar[str]
    """Where it runs steps: "local"."""
    closed_within: ClassVar[float] = 12.0
    """Seconds that the process may take to close in order."""
    capacity: Resources
    """What steps may have together."""

    def __init__(self, config: dict[str, Any]) -> None:
        self._config = config
        self._process: HostProcess | None = None
        self._link: Link | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._live: dict[str, LiveTask] = {}
        self._deaths: deque[float] = deque(maxlen=_MOST_DEATHS)
        self._failure: str | None = None
        self._ready = asyncio.Event()
        self._gone = asyncio.Event()
        self._closing = False

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def workers(self) -> tuple[WorkerSeen, ...]:
        """One, in the process."""
        if self._process is None:
            return ()
        runs = any(live.begun for live in self._live.values())
        state = "starting" if not self._ready.is_set() else "busy" if runs else "idle"
        return (WorkerSeen(name=self.place, state=state, resources=self.capacity),)

    @property
    def dashboard(self) -> str:
        """None: this Dask listens at no port."""
        return ""

    def start_process(self) -> None:
        """Start the process ahead of :meth:`start`, without a loop: it imports while the caller does.

        Call it on the main thread (see :meth:`HostProcess.spawn`).
        """
        if self._process is None:
            self._process = HostProcess.spawn(self.module, self._config)

    async def start(self, listener: Listener) -> None:
        """Start, or take over, the process; see the contract."""
        self._listener = listener
        self._supervisor = asyncio.create_task(self._supervise())

    async def wait_ready(self, timeout: float = _READY_WITHIN) -> None:
        """Return once the process can take steps. Nobody needs to wait for that before ``submit``.

        Raises EngineError when it gave up, or took longer than that many seconds.
        """
        if self._supervisor is None:
            raise EngineError(f"{self.title} is not running.")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait([ready, self._supervisor], timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not self._ready.is_set():
            reason = self._failure or f"It was not ready within {timeout:g} s"
            raise EngineError(f"{self.title} did not start. {reason}.")

    async def interrupt(self, token: str) -> None:
        """Interrupt a step; see the contract."""
        await self._end("interrupt", token)

    async def cancel(self, token: str) -> None:
        """Cancel a step; see the contract."""
        await self._end("cancel", token)

    async def settled(self, token: str) -> None:
        """Nothing: of a step that has ended nothing is kept."""

    async def close(self) -> None:
        """End the process and all its steps; see the contract."""
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
        for token, live in list(self._live.items()):
            self._lose(token, live, "The engine was closed.")

    # What differs from backend to backend.

    def _send(self, live: LiveTask) -> None:
        """Hand a step to the process, which is ready."""
        raise NotImplementedError

    def _on_death(self, cause: str) -> None:
        """The process died and another will come. Here: what had begun is lost with it."""
        for token, live in list(self._live.items()):
            if live.begun:
                self._lose(token, live, cause)
            elif live.unwanted:  # the process died before it could say so
                self._deliver(token, [cancelled(live.task.name)])

    # The process, from one death to the next.

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
                await self._bury(f"{self.title} (pid {process.pid}) {how}.")
            if self._failure is not None:
                return

    def _on_lost(self) -> None:
        self._ready.clear()
        self._gone.set()

    async def _watch(self, process: HostProcess) -> str:
        """Return how the process ended, once it has."""
        ready = asyncio.create_task(self._ready.wait())
        gone = asyncio.create_task(self._gone.wait())
        await asyncio.wait([ready, gone], timeout=_READY_WITHIN, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if not gone.done() and not self._ready.is_set():
            gone.cancel()
            return f"was not ready within {_READY_WITHIN:g} s and {process.kill()}"
        await gone
        return await process.ended(self.closed_within if self._closing else _DEAD_WITHIN)

    async def _bury(self, cause: str) -> None:
        self._on_death(cause)
        now = time.monotonic()
        self._deaths.append(now)
        recent = [each for each in self._deaths if now - each < _DEATHS_WITHIN]
        if len(recent) >= _MOST_DEATHS:
            self._failure = f"{cause} It died {len(recent)} times in a minute; the engine's log tells more"
            for token, live in list(self._live.items()):
                self._lose(token, live, self._failure)
            return
        await asyncio.sleep(_PAUSES[min(len(recent), len(_PAUSES)) - 1])

    def _check_alive(self) -> None:
        """Raise EngineError while the process keeps dying; try again once the last death is long ago."""
        if self._closing or self._supervisor is None:
            raise EngineError(f"The {self.place} backend is not running.")
        if self._failure is None:
            return
        if time.monotonic() - self._deaths[-1] < _DEATHS_WITHIN:
            raise EngineError(f"No step can run on {self.place}. {self._failure}.")
        self._failure = None
        self._supervisor = asyncio.create_task(self._supervise())

    # Steps.

    def _take(self, live: LiveTask) -> None:
        """The step is ours from here on."""
        self._check_alive()
        self._live[live.task.token] = live
        if self._ready.is_set():
            self._send(live)

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
            case ["messages", token, messages, number]:
                if token in self._live:
                    self._live[token].number = number
                self._deliver(token, messages)
            case ["begun", token]:
                if token in self._live:
                    self._live[token].begun = True
                    self._deliver(token, [{"kind": "starting", "time": time.time()}])
            case ["ready", _]:
                self._ready.set()
                for live in self._live.values():
                    self._send(live)

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

    def _lose(self, token: str, live: LiveTask, cause: str) -> None:
        self._deliver(token, [lost(live.task.name, worker=self.place, cause=cause, peak=live.peak)])
