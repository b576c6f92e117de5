"""Engine: the parts of one engine put together, and its life from starting to gone. Knows no HTTP."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import platform
import sys
import time
from typing import TYPE_CHECKING, Any

from cellyard import __version__
from cellyard.backends.base import Backend
from cellyard.errors import CellyardError, EngineLeaving
from cellyard.execution.hub import Hub, Subscription
from cellyard.execution.journal import Journal
from cellyard.execution.routing import Routes
from cellyard.execution.runner import Runner
from cellyard.schedules.scheduler import Scheduler
from cellyard.service.events import Follower, Reading
from cellyard.settings import Settings

if TYPE_CHECKING:
    from cellyard.records import Records

__all__ = ["Engine"]

_log = logging.getLogger(__name__)


class Engine:
    """One engine. ``state`` is starting, ready, draining or stopping."""

    def __init__(self, settings: Settings, backend: Backend) -> None:
        self.settings = settings
        self.backend = backend
        self.hub = Hub()
        self.journal = Journal(self._open_records)
        self.routes = Routes(settings.backend, backend, self._create_backend, _outlives)
        self.runner = Runner(routes=self.routes, journal=self.journal, hub=self.hub, log_limit=settings.log_limit)
        self.scheduler = Scheduler(settings, self.journal)
        self.state = "starting"
        self.leaving = asyncio.Event()
        self._ready: asyncio.Task[None] | None = None
        self._used = time.monotonic()

    def start(self) -> None:
        """Begin opening the records and starting the backend; requests wait for it in :meth:`ready`."""
        self._ready = asyncio.ensure_future(self._start())

    async def ready(self) -> None:
        """Return once everything is open. Raises what kept it from opening, and EngineLeaving at the end."""
        if self.state == "starting" and self._ready is not None:
            await asyncio.shield(self._ready)
        if self.state == "stopping":
            raise EngineLeaving(running=len(self.runner.steps))
        self._used = time.monotonic()

    def follow(self, reading: Reading, subscription: Subscription | None = None) -> Follower:
        """A stream of events for one reader."""
        return Follower(self.hub, self.journal, reading, subscription=subscription)

    def check_taking(self) -> None:
        """Raise EngineLeaving unless new steps and runs are taken."""
        if self.state in ("draining", "stopping"):
            raise EngineLeaving(running=len(self.runner.steps))

    def tell_logged(self, run: int, entries: list[dict[str, Any]]) -> None:
        """A run says of itself, in a plain cell; followers hear it now, and the records have it soon."""
        self.journal.note(self.hub.publish("logged", {"entries": entries}, run=run))

    def facts(self) -> dict[str, Any]:
        """What the engine says of itself."""
        return {
            "version": __version__,
            "pid": os.getpid(),
            "store": self.settings.store,
            "records": self.settings.records_name,
            "prefix": sys.prefix,
            "python": platform.python_version(),
            "capacity": self.backend.offer.capacity.to_dict(),
            # One that still opens its records may be asked like one that is ready.
            "state": "ready" if self.state == "starting" else self.state,
            "running": len(self.runner.steps),
            "followers": self.hub.followers,
            "seq": self.hub.last,
        }

    def stop(self, *, drain: bool) -> None:
        """Leave: at once, or when the last live step and run have ended. Returns immediately."""
        if self.state == "stopping":
            return
        self.state = "draining" if drain else "stopping"
        if not drain or not self.runner.busy:
            self.state = "stopping"
            self.leaving.set()

    def stop_now(self) -> None:
        """Leave at once; live steps are cancelled."""
        self.stop(drain=False)

    async def watch(self) -> None:
        """Leave when a drain is complete, or after idling; return when it is time to leave."""
        pause = min(1.0, self.settings.idle / 4)
        while not self.leaving.is_set():
            try:
                async with asyncio.timeout(0.05 if self.state == "draining" else pause):
                    await self.leaving.wait()
            except TimeoutError:
                self._look_around()

    async def close(self) -> None:
        """End live steps as cancelled, stop the backend, write what is unwritten, close the records."""
        self.state = "stopping"
        if self._ready is not None:
            await asyncio.wait([self._ready])
        try:
            await self.scheduler.close()
            await self.runner.close()
            await self.journal.close()
        except CellyardError:
            _log.exception("the engine could not end in order")
        self.hub.close()

    def _look_around(self) -> None:
        if (
            self.state == "starting"
            or self.runner.busy
            or len(self.runner.runs)
            or self.hub.followers
            or self.scheduler.active
        ):
            self._used = time.monotonic()
        if self.state == "draining" and not self.runner.busy:
            self.state = "stopping"
            self.leaving.set()
        elif time.monotonic() - self._used > self.settings.idle:
            _log.info("leaving after %g s without work", self.settings.idle)
            self.stop(drain=True)

    async def _start(self) -> None:
        try:
            await self.journal.start()
            await self.runner.start()
            await self.scheduler.start()
        except CellyardError:
            _log.exception("the engine cannot start")
            self.leaving.set()
            raise
        self._used = time.monotonic()
        if self.state == "starting":
            self.state = "ready"
        # All modules are loaded now; what they hold is never garbage and need not be looked at again.
        gc.freeze()
        gc.enable()

    def _create_backend(self, name: str) -> Backend:
        from cellyard.backends.registry import create_backend

        return create_backend(name, self.settings)

    def _open_records(self) -> Records:
        # Half a second of imports, which the first caller need not wait for.
        from cellyard.records import open_records
        from cellyard.records.reserve import keep_reserve

        found = open_records(self.settings.records, as_engine=True)
        keep_reserve(self.settings.records)
        return found


def _outlives(name: str) -> bool:
    from cellyard.backends.registry import backend_class

    return bool(getattr(backend_class(name), "outlives_engine", False))
