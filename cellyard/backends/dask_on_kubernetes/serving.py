"""Process K at work: steps of the engine become tasks on workers that are made for them.

    from the engine   ["submit" | "attach", token, name, packed task, number]
                      ["interrupt", token]  ["cancel", token]  ["settled", token]  ["close"]
    to the engine     ["ready", pid]  ["begun", token]  ["messages", token, [message, ...], number]
                      ["crew", [worker, ...], dashboard]

"attach" is a step that a K before this one has sent; ``number`` that of its last messages that the engine has.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
import sys
import traceback
from collections.abc import Mapping
from typing import Any

from cellyard.backends.base import StepTask
from cellyard.backends.dask_on_kubernetes.attendance import Attendance
from cellyard.backends.dask_on_kubernetes.tasks import Tasks
from cellyard.errors import CellyardError, ClusterError
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.worker.link import Frame, Link, unpack

__all__ = ["ClusterHost", "serve"]

_END_WITHIN = 25
"""Seconds after which a process that was asked to end, and hangs, is ended by SIGALRM."""
_ROUND_AGAIN = 1.0
"""Seconds after which to look again at what has failed, or has not happened yet."""
_ACKNOWLEDGE_EVERY = 5.0


def serve(sock: socket.socket, config: Mapping[str, Any]) -> int:
    """Run the host to its end and return the exit code."""
    import uvloop

    gc.collect()
    gc.freeze()
    gc.enable()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(ClusterHost(config).serve(sock))


class ClusterHost:
    """Between the link and the cluster."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self._settings = KubernetesSettings.from_dict(config["settings"])
        self._tasks = Tasks(self._tell, self._tell_packed, self._poke)
        self._crew = _attendance(self._settings)(config, self._settings, self._tasks, self._poke)
        self._wake = asyncio.Event()
        self._stop = asyncio.Event()
        self._closing = False
        self._reported: tuple[list[dict[str, Any]], str] = ([], "")

    async def serve(self, sock: socket.socket) -> int:
        """Serve until the engine says "close", and then delete everything; or until it is gone, and then leave all as
        it is for the next. 1 when a loop here broke: the process that comes next takes the steps up."""
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self._stop.set)
        self._link = await Link.open(sock, self._on_frame, self._stop.set)
        self._link.send("ready", os.getpid())
        loops = [asyncio.create_task(each) for each in (self._manage(), self._acknowledge())]
        stopped = asyncio.create_task(self._stop.wait())
        await asyncio.wait([stopped, *loops], return_when=asyncio.FIRST_COMPLETED)
        code = 0 if stopped.done() else 1
        for each in [stopped, *loops]:
            each.cancel()
        for ended in await asyncio.gather(*loops, return_exceptions=True):
            if isinstance(ended, Exception):
                traceback.print_exception(ended)
        signal.alarm(_END_WITHIN)
        await self._end()
        return code

    async def _end(self) -> None:
        if self._closing:
            self._tasks.end_all("The engine was closed.")
            try:
                await self._crew.dismiss()
            except CellyardError as error:
                print(f"cellyard: left in the cluster, until its deadline: {error}", file=sys.stderr)
        await self._crew.close()
        await self._link.close()

    # The engine.

    def _on_frame(self, frame: Frame) -> None:
        match frame:
            case ["submit", _, _, packed, _]:
                self._tasks.add(_task(packed), packed, self._settings)
            case ["attach", _, _, packed, number]:
                self._tasks.add(_task(packed), packed, self._settings, sent=True, number=number)
            case ["interrupt" | "cancel" as how, token]:
                if self._tasks.stop(token, how):
                    self._crew.signal(token, how)
            case ["settled", token]:
                self._crew.forget(token)
            case ["close"]:
                self._closing = True
                self._stop.set()
        self._poke()

    def _tell(self, *frame: Any) -> None:
        self._link.send(*frame)

    def _tell_packed(self, packed: bytes) -> None:
        self._link.send_packed(packed)

    # The loop.

    def _poke(self) -> None:
        self._wake.set()

    async def _manage(self) -> None:
        """Whenever something has changed: look at everything, and do what follows."""
        while True:
            self._wake.clear()
            later = await self._round()
            try:
                async with asyncio.timeout(later):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _round(self) -> float | None:
        try:
            return await self._crew.round(self._link.flushed)
        except ClusterError as error:
            self._tasks.trouble(error)
        except CellyardError as error:
            self._tasks.refuse(error)
        finally:
            self._report()
        return _ROUND_AGAIN

    def _report(self) -> None:
        """Tell the engine of the workers, when something about them has changed."""
        seen = [each.to_dict() for each in self._crew.workers], self._crew.dashboard
        if seen != self._reported:
            self._reported = seen
            self._link.send("crew", *seen)

    async def _acknowledge(self) -> None:
        """Tell the scheduler what it need not keep: what the engine has had for some time."""
        while True:
            before = self._tasks.numbers()
            await asyncio.sleep(_ACKNOWLEDGE_EVERY)
            for token, number in before.items():
                self._crew.stored(token, number)


def _task(packed: bytes) -> StepTask:
    return StepTask.from_dict(unpack(packed))


def _attendance(settings: KubernetesSettings) -> type[Attendance]:
    """How there are workers: made for the steps, or there already. Half a second of imports, only where needed."""
    if settings.scheduler is not None:
        from cellyard.backends.dask_on_kubernetes.guests import Guests

        return Guests
    from cellyard.backends.dask_on_kubernetes.crew import Crew

    return Crew
