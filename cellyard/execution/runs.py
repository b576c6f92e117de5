"""OpenRuns: the runs that steps may still join, and what ends them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

from cellyard.errors import NotFound, RecordsError, UsageError
from cellyard.execution.live import LiveSteps
from cellyard.execution.owners import Owners
from cellyard.execution.telling import Teller
from cellyard.model import TERMINAL

__all__ = ["OpenRuns"]

LOST_OWNER = {"type": "RunLost", "message": "the process that made this run ended without finishing it"}
_RETRY_PAUSE = 0.5


class OpenRuns:
    """Runs opened by a face. One ends when the face says so; or, once its owner's process has ended and the
    steps that it had submitted have finished, as lost."""

    def __init__(self, teller: Teller, steps: LiveSteps, spawn: Callable[[Any], None]) -> None:
        self._teller = teller
        self._steps = steps
        self._spawn = spawn
        self._open: set[int] = set()
        self._orphaned: set[int] = set()
        self._owners = Owners(self._owner_ended)

    def __len__(self) -> int:
        return len(self._open)

    def __contains__(self, run: object) -> bool:
        return run in self._open

    async def create(
        self,
        *,
        kind: str,
        notebook: str,
        session: str,
        owner_pid: int | None,
        origin: Mapping[str, Any] | None = None,
    ) -> int:
        """Open a run; ``origin`` are the fields of a RunOrigin. Raises RecordsLocked."""
        from cellyard.records import RunOrigin

        known = RunOrigin(**origin) if origin else None
        run = await self._teller.journal.write(
            lambda records: records.create_run(
                kind=kind, notebook=notebook, session=session, owner_pid=owner_pid, origin=known
            )
        )
        self.adopt(run, owner_pid)
        self._teller.run(run, {"state": "running"})
        return run

    def adopt(self, run: int, owner_pid: int | None) -> None:
        """The run is open; it is lost when that process ends."""
        self._open.add(run)
        if owner_pid:
            self._owners.watch(run, owner_pid)

    async def finish(self, run: int, state: str, error: Mapping[str, Any] | None = None) -> None:
        """End an open run. Raises NotFound when it is not open, UsageError for a state that ends nothing, and
        RecordsLocked: it is then still open."""
        if run not in self._open:
            raise NotFound(what=f"open run {run}", hint="It may have finished already.")
        if state not in TERMINAL:
            raise UsageError(f"a run ends as one of {', '.join(sorted(TERMINAL))}, not as {state!r}")
        slot, event = self._teller.reserve_run(run, {"state": state, "error": error})
        try:
            await self._teller.journal.write(
                lambda records: records.finish_run(run, state=state, error=error, events=[event])
            )
        except BaseException:
            self._teller.hub.drop(slot)
            raise
        self._open.discard(run)
        self._orphaned.discard(run)
        self._owners.forget(run)
        self._teller.hub.fill(slot, event)

    def step_ended(self, run: int) -> None:
        """A step of the run has finished: it may have been what kept an orphaned run open."""
        if run in self._orphaned and not self._steps.of_run(run):
            self._spawn(self._lose(run))

    def close(self) -> None:
        """Watch no owners any more; the runs stay open in the records, for the next engine."""
        self._owners.close()

    def _owner_ended(self, run: int) -> None:
        self._orphaned.add(run)
        self.step_ended(run)

    async def _lose(self, run: int) -> None:
        while run in self._open:
            try:
                await self.finish(run, "lost", LOST_OWNER)
            except RecordsError:
                await asyncio.sleep(_RETRY_PAUSE)
