"""Reuser: takes an earlier result in a step's place. A hit touches no worker; one key is computed once at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cellyard.backends.base import Backend
from cellyard.errors import RecordsError, StepCancelled
from cellyard.execution.hub import EventFilter, Subscription
from cellyard.execution.live import LiveStep, LiveSteps
from cellyard.execution.telling import Teller
from cellyard.model import StepRequest

if TYPE_CHECKING:
    from cellyard.records import CachedResult, RunRecord

__all__ = ["Reuser"]

_PAGE = 1000
_log = logging.getLogger(__name__)


class Reuser:
    """Belongs to the runner's event loop."""

    def __init__(self, teller: Teller, steps: LiveSteps, backend: Backend) -> None:
        self._backend = backend  # of steps that were never anywhere
        self._tell = teller
        self._steps = steps
        self._waiting: dict[str, asyncio.Event] = {}

    async def find(self, request: StepRequest, handle: str) -> CachedResult | None:
        """The result that the step may take; None where it has to run. While another step of the same key runs, its
        end is waited for. Raises StepCancelled when the user does not want to wait any more."""
        if not request.key or not request.reuse:
            return None
        while True:
            found = await self._tell.journal.read(lambda records: records.cached(request.key))
            if found is not None:
                return found
            twin = next((live for live in self._steps if live.request.key == request.key), None)
            if twin is None:
                return None
            await self._end_of(twin, request, handle)

    def give_up(self, handle: str) -> None:
        """The step does not wait for another any more. Unknown: ignored."""
        if handle in self._waiting:
            self._waiting[handle].set()

    async def _end_of(self, twin: LiveStep, request: StepRequest, handle: str) -> None:
        subscription = self._tell.hub.subscribe(EventFilter(twin.run, twin.step_id))
        given_up = self._waiting[handle] = asyncio.Event()
        stopped = asyncio.ensure_future(given_up.wait())
        ended = asyncio.ensure_future(_until_finished(subscription))
        try:
            if self._steps.by_handle(twin.handle) is not None:
                await asyncio.wait({stopped, ended}, return_when=asyncio.FIRST_COMPLETED)
            if given_up.is_set():
                raise StepCancelled(step=request.name, by=f" while it waited for the same step of run {twin.run}")
        finally:
            stopped.cancel()
            ended.cancel()
            subscription.close()
            self._waiting.pop(handle, None)

    async def repeat(self, request: StepRequest, result: CachedResult, handle: str) -> tuple[LiveStep, Subscription]:
        """Record the step as one that has succeeded with this result, and tell what it once showed. It is over when
        this returns. Raises RecordsLocked."""
        told = await self._told(result)
        opened = await self._tell.journal.write(lambda records: records.reuse_step(request, result, token=handle))
        live = LiveStep.of(opened, request, handle, self._backend, request.resources)
        subscription = self._tell.hub.subscribe(EventFilter(live.run, live.step_id))
        self._tell_all(live, result, told)
        return live, subscription

    async def take(self, request: StepRequest, id: int, handle: str) -> dict[str, Any] | None:
        """Record the step as one that takes the result of that number; what it has left, and ``shown``. None, and
        nothing is recorded, when the result is there no more, or another step's. Raises RecordsLocked."""
        result = await self._tell.journal.read(lambda records: records.cached_result(id))
        if result is None or result.key != request.key:
            return None
        live, subscription = await self.repeat(request, result, handle)
        subscription.close()
        shown = [content for kind, content in await self._told(result) if kind == "output"]
        return {"finished": _finished(result), "shown": shown, "step_id": live.step_id}

    async def kept_items(self, request: StepRequest) -> list[dict[str, Any]]:
        """What items of a step that runs once per item have made in earlier tries, which did not come to their end: in
        any run, or, where results are not taken again, in those that its run goes on from."""
        if request.options.map is None or not request.key:
            return []
        of_run = None if request.reuse else request.run
        if of_run is None and not request.reuse:
            return []
        try:
            return await self._tell.journal.read(lambda records: records.kept_items(request.key, of_run=of_run))
        except RecordsError as error:
            _log.warning("the items of step %s run again: %s", request.name, error)
            return []

    def keep_items(self, live: LiveStep, message: Mapping[str, Any]) -> None:
        """Items have ended well: should the step fail, another try need not run them."""
        batch = {key: message[key] for key in ("of", "items", "id")}
        self._tell.journal.post(lambda records: records.keep_items(live.request.key, live.run, batch))

    def forget_items(self, request: StepRequest) -> None:
        """The step has ended well: its result has all that its items made."""
        if request.options.map is not None and request.key:
            self._tell.journal.post(lambda records: records.forget_items(request.key))

    async def keep_cells(self, run: RunRecord, cells: list[dict[str, Any]]) -> None:
        """Keep what cells of the run have shown. Raises RecordsLocked."""
        from cellyard.records import CachedResult

        kept = [
            CachedResult(
                key=each["key"],
                run_id=run.id,
                step_id=None,
                notebook=run.notebook,
                name=each["name"],
                created=time.time(),
                parts=each["parts"],
                content={"shown": each["shown"]},
            )
            for each in cells
        ]
        await self._tell.journal.write(lambda records: records.keep_results(kept))

    def _tell_all(self, live: LiveStep, result: CachedResult, told: list[tuple[str, dict[str, Any]]]) -> None:
        self._tell.step(live, "accepted", _accepted(live, result))
        for kind, content in told:
            self._tell.step(live, kind, {**content, "from_run": result.run_id})
        self._tell.step(live, "finished", _finished(result))
        if live.owns_run:
            self._tell.run(live.run, {"state": "succeeded"})

    async def _told(self, result: CachedResult) -> list[tuple[str, dict[str, Any]]]:
        """What the step that made the result has shown and logged, as kinds and contents."""
        wanted, since = EventFilter(result.run_id, result.step_id), 0
        found: list[tuple[str, dict[str, Any]]] = []
        while True:
            events = await self._tell.journal.events(since, wanted, limit=_PAGE)
            found += [(each.kind, each.content) for each in events if each.kind in ("output", "logged")]
            if len(events) < _PAGE:
                return found
            since = events[-1].seq


async def _until_finished(subscription: Subscription) -> None:
    async for slot in subscription:
        if slot.event is not None and slot.event.kind == "finished":
            return


def _accepted(live: LiveStep, result: CachedResult) -> dict[str, Any]:
    return {
        "token": live.handle,
        "state": "succeeded",
        "resources": live.resources.to_dict(),
        "notebook": live.request.notebook,
        "cell_id": live.request.cell_id,
        "reused": result.run_id,
    }


def _finished(result: CachedResult) -> dict[str, Any]:
    content = result.content
    return {
        "state": "succeeded",
        "attempt": 1,
        "outputs": content["outputs"],
        "deleted": content["deleted"],
        "result": content["result"],
        "error": None,
        "peak_memory": 0,
        "cpu_seconds": 0.0,
        "process_state": content.get("process_state"),
        "seconds": 0.0,
        "time": time.time(),
        "reused": result.run_id,
    }
