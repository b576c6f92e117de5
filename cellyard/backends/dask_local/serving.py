"""The Dask process at work: frames from the engine become Dask tasks, their messages become frames.

    from the engine   ["submit", token, name, cost, packed task]
                      ["interrupt", token]  ["cancel", token]  ["close"]
    to the engine     ["ready", pid]  ["begun", token]  ["messages", token, [message, ...], number]

"begun" has left this process before a step begins: what the engine has not seen begin, it may start again.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from distributed import Future, SchedulerPlugin

from cellyard.backends.base import Message, cancelled, lost
from cellyard.backends.dask_local.cluster import LocalCluster
from cellyard.backends.dask_steps import Admitted, Pool, StepPlugin
from cellyard.background import Background
from cellyard.worker.link import Frame, Link
from cellyard.worker.processes import end_adopted

__all__ = ["StepHost", "serve"]

_END_WITHIN = 10
"""Seconds after which a process that was asked to end, and hangs, is ended by SIGALRM."""
_LAST_WORDS = 0.5
"""Seconds for the last messages of steps that were ended."""
_SWEEP_EVERY = 2.0

_KEY = "step"


def serve(sock: socket.socket, pool: Pool, resources: Mapping[str, int], folder: Path) -> int:
    """Run the host to its end and return the exit code."""
    try:
        import uvloop

        factory: Callable[[], asyncio.AbstractEventLoop] | None = uvloop.new_event_loop
    except ImportError:  # it saves a tenth of the time per step, and no more
        factory = None
    # What the imports have made stays: no collection need look at it again.
    gc.collect()
    gc.freeze()
    gc.enable()
    host = StepHost(pool, resources, folder, ending=lambda: signal.alarm(_END_WITHIN))
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(host.serve(sock))


@dataclass(slots=True)
class _Step:
    """A step between its "submit" and the release of its Dask task."""

    name: str
    future: Future[None]
    known: bool = False  # the scheduler has it
    begun: bool = False
    ended: bool = False  # its "finished" is on the way to the engine
    unwanted: bool = False


class StepHost:
    """Between the link and the cluster; ``ending`` is called when the end begins, so that a hang can be cut."""

    def __init__(self, pool: Pool, resources: Mapping[str, int], folder: Path, *, ending: Callable[[], object]) -> None:
        self._pool = pool
        self._ending = ending
        self._plugin = _LocalSteps(self, pool, self._admit)
        self.cluster = LocalCluster(resources, folder, self._plugin, _Watch(self))
        self._steps: dict[str, _Step] = {}
        self._position = 0
        self._stop = asyncio.Event()
        self._background = Background("taking out a step")

    async def serve(self, sock: socket.socket) -> int:
        """Serve until the engine says "close" or is gone, or until SIGTERM; 1 when Dask broke."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._stop.set)
        await self.cluster.start()
        self._link = await Link.open(sock, self._on_frame, self._stop.set)
        self._link.send("ready", os.getpid())
        sweeping = asyncio.create_task(self._sweep())
        broken = asyncio.create_task(self.cluster.broken())
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([broken, stopped], return_when=asyncio.FIRST_COMPLETED)
        if broken.done():
            print(f"cellyard: the Dask process ends: {broken.result()}", file=sys.stderr)
        code = 1 if broken.done() and not stopped.done() else 0
        for each in (sweeping, broken, stopped):
            each.cancel()
        await self._close()
        return code

    async def _close(self) -> None:
        self._ending()
        await self._plugin.close()
        deadline = asyncio.get_running_loop().time() + _LAST_WORDS
        while self._running() and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.005)
        await self.cluster.close()
        await self._link.close()
        while end_adopted(self._pool.pids()):
            await asyncio.sleep(0.005)

    def _running(self) -> bool:
        return any(each.begun and not each.ended for each in self._steps.values())

    async def _sweep(self) -> None:
        """End what steps left behind when their parent died. The pool's own processes are spared."""
        while True:
            await asyncio.sleep(_SWEEP_EVERY)
            end_adopted(self._pool.pids())

    # From the engine.

    def _on_frame(self, frame: Frame) -> None:
        match frame:
            case ["submit", token, name, cost, packed]:
                self._submit(token, name, cost, packed)
            case ["interrupt", token]:
                self._interrupt(token)
            case ["cancel", token]:
                self._cancel(token)
            case ["close"]:
                self._stop.set()

    def _submit(self, token: str, name: str, cost: Mapping[str, int], packed: bytes) -> None:
        self._position += 1
        future = self.cluster.submit((_KEY, token), packed, cost, self._position)
        self._steps[token] = _Step(name, future)

    def _interrupt(self, token: str) -> None:
        step = self._steps.get(token)
        if step is not None and step.begun:
            self._pool.interrupt(token)
        else:
            self._cancel(token)

    def _cancel(self, token: str) -> None:
        step = self._steps.get(token)
        if step is None or step.ended:
            return
        if step.begun:
            self._pool.kill(token)
            return
        step.unwanted = True
        self._finish(token, step, cancelled(step.name))
        if step.known:
            self._forget(token, step)

    def _finish(self, token: str, step: _Step, message: Message) -> None:
        step.ended = True
        self._link.send("messages", token, [message], 0)

    def _forget(self, token: str, step: _Step) -> None:
        del self._steps[token]
        self._background.spawn(self.cluster.cancel(step.future))

    # From the worker.

    async def _admit(self, token: str) -> bool:
        step = self._steps.get(token)
        if step is None or step.unwanted:
            return False
        self._link.send("begun", token)
        await self._link.flushed()
        step.begun = not step.unwanted
        return step.begun

    def deliver(self, token: str, *, packed: bytes, ended: bool) -> None:
        """Pass a step's messages on."""
        step = self._steps.get(token)
        if step is None or step.ended:
            return
        step.ended = ended
        self._link.send_packed(packed)

    # From the scheduler.

    def known(self, token: str) -> None:
        """The scheduler has the task now: one that was cancelled before can be taken out at last."""
        step = self._steps.get(token)
        if step is not None and not step.known:
            step.known = True
            if step.unwanted:
                self._forget(token, step)

    def done(self, token: str, *, failed: bool) -> None:
        """The task is over. Its messages came before, unless something broke."""
        step = self._steps.pop(token, None)
        if step is None:
            return
        if not step.ended:
            cause = self.cluster.failure((_KEY, token)) if failed else "It ended without a result."
            self._finish(token, step, lost(step.name, worker="local", cause=cause))
        # Not here, in the middle of the scheduler's transitions.
        asyncio.get_running_loop().call_soon(step.future.release)


class _LocalSteps(StepPlugin):
    """The plugin of a worker in the same loop: its messages need no way through the scheduler."""

    def __init__(self, host: StepHost, pool: Pool, admitted: Admitted) -> None:
        super().__init__(pool, admitted)
        self._host = host

    def deliver(self, token: str, number: int, ended: bool, packed: bytes) -> None:
        """Straight to the link."""
        self._host.deliver(token, packed=packed, ended=ended)


class _Watch(SchedulerPlugin):
    """What the scheduler tells of steps."""

    name = "cellyard-watch"

    def __init__(self, host: StepHost) -> None:
        self._host = host

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        if not (isinstance(key, tuple) and key[0] == _KEY):
            return
        if finish in ("memory", "erred"):
            self._host.done(key[1], failed=finish == "erred")
        elif start == "released" and finish != "forgotten":
            # Only after this transition: to take a task out in the midst of it would confuse the scheduler.
            asyncio.get_running_loop().call_soon(self._host.known, key[1])
