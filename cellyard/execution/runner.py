"""Runner: the loop that carries steps from request to end. One per engine; belongs to one event loop.

What it promises: a step that was accepted ends, with exactly one finished event; its end is in the records
before anyone is told; only its current attempt can end it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.backends.base import Backend, Message
from cellyard.background import Background
from cellyard.errors import CellyardError, EngineError, NotFound
from cellyard.execution.admission import Admission
from cellyard.execution.causes import explained
from cellyard.execution.growing import grown, sized
from cellyard.execution.hub import EventFilter, Hub, Subscription
from cellyard.execution.journal import Journal, can_pass
from cellyard.execution.live import LiveStep, LiveSteps, task_of
from cellyard.execution.packages import PackageVersions
from cellyard.execution.recovery import Survivor, recover
from cellyard.execution.reusing import Reuser
from cellyard.execution.routing import Routes
from cellyard.execution.runs import OpenRuns
from cellyard.execution.stopping import Stopper
from cellyard.execution.telling import QueueTeller, Teller, as_lost, end_of_attempt, finished_content, why_again
from cellyard.execution.verdict import Verdict, error_content, judge
from cellyard.model import Resources, StepRequest

__all__ = ["Accepted", "Runner"]

_RETRY_PAUSE = 0.5

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A step that was taken, and its events from the first one on; None when they must be replayed."""

    live: LiveStep
    events: Subscription | None = None


class Runner:
    """Runs steps on a backend, writes what happens to the journal and tells it through the hub."""

    def __init__(self, *, routes: Routes, journal: Journal, hub: Hub, log_limit: int | None = None) -> None:
        self._log_limit = log_limit
        self.hub = hub
        self.journal = journal
        self.steps = LiveSteps()
        self._tell = Teller(hub, journal)
        self._background = Background("a step's bookkeeping")
        self.runs = OpenRuns(self._tell, self.steps, self._background.spawn)
        self._routes = routes
        self._packages = PackageVersions()
        self.reuser = Reuser(self._tell, self.steps, routes.first)
        self._stopper = Stopper(self.steps, self.reuser, self._background, self._give_up)
        self._queue = QueueTeller(self._tell, self.steps)

    async def start(self) -> None:
        """Take up what an earlier engine left, and be ready for steps. The journal is open."""
        outlives = self._routes.outlives
        survivors = await recover(self.hub, self.journal, self.runs, lambda step: outlives(step.options.backend))
        await self._routes.start(self._deliver)
        for each in survivors:
            await self._go_on(each)

    async def close(self, *, reason: str = "the engine was stopped") -> None:
        """End every live step as cancelled, and return when all ends are in the records."""
        self.runs.close()
        for live in self.steps:
            await self.cancel(live.handle, by=f": {reason}")
        await self._routes.close()
        await self._background.finish()

    @property
    def busy(self) -> bool:
        """Whether steps are live, or ends still to be written."""
        return bool(len(self.steps) or self._background)

    def is_open(self, run: int) -> bool:
        """Whether more may still happen in the run."""
        return run in self.runs or bool(self.steps.of_run(run))

    # -- what faces ask for

    async def submit(self, request: StepRequest, handle: str) -> Accepted:
        """Accept a step. Raises UsageErrors and RecordsLocked; nothing has then happened.

        A handle that was seen before gives the same step again, without events of its own to follow: a face
        that lost its connection may ask twice.
        """
        known = self.steps.by_handle(handle) or await self._stopper.being_opened(handle)
        if known is not None:
            return Accepted(known)
        if request.run is not None and request.run not in self.runs:
            raise NotFound(what=f"open run {request.run}", hint="It has finished, or was lost with its engine.")
        result = await self.reuser.find(request, handle)
        if result is not None:
            return Accepted(*await self.reuser.repeat(request, result, handle))
        backend = await self._routes.named(request.options.backend)
        request, admission = await sized(request, self.journal, backend.offer)
        self._stopper.refuse_stopped(request, handle)
        self.steps.claim(request)
        opening = self._stopper.opening[handle] = asyncio.ensure_future(self._open(request, admission, handle, backend))
        try:
            live = await asyncio.shield(opening)
        except BaseException:
            self.steps.unclaim(request)
            raise
        finally:
            del self._stopper.opening[handle]
        self.steps.add(live)
        events = self.hub.subscribe(EventFilter(live.run, live.step_id))
        self._spawn(live, self._begin(live, admission))
        return Accepted(live, events)

    async def _go_on(self, survivor: Survivor) -> None:
        """Take up a step that goes on without the engine that began it."""
        failure: CellyardError | None = None
        backend: Any = self._routes.first
        try:
            backend = await self._routes.named(survivor.step.options.backend)
        except CellyardError as error:
            failure = error
        live = survivor.live(backend)
        self.steps.claim(live.request)
        self.steps.add(live)
        if failure is not None:
            self._give_up(live, failure, state="lost")
            return
        self._tell.note(live, "the engine was started again; the step has gone on meanwhile")
        await backend.attach(task_of(live, self._log_limit), survivor.number)
        if live.began:  # which is not told again
            self._stopper.limit_time(live, spent=time.time() - live.began)

    async def find(self, handle: str) -> tuple[int, int]:
        """Run and step id of a submitted step, live or long finished. Raises NotFound."""
        live = self.steps.by_handle(handle)
        if live is not None:
            return live.run, live.step_id
        found = await self.journal.read(lambda records: records.step_of_token(handle))
        return found.run_id, found.id

    async def interrupt(self, handle: str) -> None:
        """As the stop button; see Stopper."""
        await self._stopper.interrupt(handle)

    async def cancel(self, handle: str, *, by: str = "") -> None:
        """End the step by force; see Stopper."""
        await self._stopper.cancel(handle, by=by)

    async def cancel_run(self, run: int) -> None:
        """Cancel all live steps of a run and the run itself; a finished run stays as it is."""
        for live in self.steps.of_run(run):
            await self.cancel(live.handle, by=": its run was cancelled")
        if run in self.runs:
            await self.runs.finish(run, "cancelled")

    # -- from request to submission

    async def _open(self, request: StepRequest, admission: Admission, handle: str, backend: Backend) -> LiveStep:
        packages = self._packages.known(request)
        kept = await self.reuser.kept_items(request)
        opened = await self.journal.write(
            lambda records: records.open_step(request, resources=admission.resources, token=handle, packages=packages)
        )
        if packages is None:
            self._background.spawn(self._packages.note(self.journal, opened.step_id, request.packages))
        live = LiveStep.of(opened, request, handle, backend, admission.resources)
        live.kept = kept
        return live

    async def _begin(self, live: LiveStep, admission: Admission) -> None:
        """Tell that the step was accepted, and hand it on."""
        self._queue.look_soon()
        content = {
            "token": live.handle,
            "state": "queued",
            "resources": live.resources.to_dict(),
            "notebook": live.request.notebook,
            "cell_id": live.request.cell_id,
            "waits_for": self.steps.waited_for(live),
        }
        self._tell.step(live, "accepted", content)
        for note in admission.notes:
            self._tell.note(live, note)
        await self._dispatch(live)

    async def _dispatch(self, live: LiveStep) -> None:
        """Hand the current attempt to the backend."""
        if self._stopper.stopped(live, " before it started"):
            return
        try:
            await live.backend.submit(task_of(live, self._log_limit))
        except CellyardError as error:
            self._give_up(live, error, state="failed")

    # -- from the backend's messages to the end

    def _deliver(self, token: str, messages: list[Message]) -> None:
        live = self.steps.by_token(token)
        if live is None:
            # An attempt that is over for us, for example of a worker that was declared lost and came back.
            return
        for message in messages:
            self._apply(live, message)

    def _apply(self, live: LiveStep, message: Message) -> None:
        kind = message["kind"]
        number = {"number": message["number"]} if "number" in message else {}
        if kind == "output":
            self._tell.step(live, "output", {**message["message"], **number})
        elif kind == "logged":
            self._tell.step(live, "logged", {"entries": message["entries"], **number})
        elif kind == "note":
            self._tell.note(live, str(message["text"]))
        elif kind == "items":
            self.reuser.keep_items(live, message)
        elif kind == "memory":
            live.peak_memory = max(live.peak_memory, int(message["peak"]))
            cpu = float(message.get("cpu") or 0.0)
            live.seen.note(float(message.get("time") or time.time()), int(message["bytes"]), cpu)
            content = {"bytes": message["bytes"], "peak": message["peak"], "cpu": cpu, **number}
            self._tell.step(live, "memory", content, at=message.get("time"))
        elif kind == "objects":
            live.seen.objects = list(message["objects"])
            self._tell.step(live, "objects", {"objects": live.seen.objects, **number}, at=message.get("time"))
        elif kind == "glance":
            self._tell.passing(live, "glance", {"text": message["text"], "left_out": message["left_out"]})
        elif kind == "starting":
            self._tell.starting(live, float(message["time"]))
        elif kind == "started":
            self._started(live, message)
        elif kind == "finished" and not live.concluding:
            live.concluding = True
            live.stop_timers()
            self._spawn(live, self._conclude(live, message))

    def _started(self, live: LiveStep, message: Message) -> None:
        live.began = float(message.get("time") or time.time())
        live.worker, live.pid = str(message["worker"]), int(message["pid"])
        content = {"state": "running", "worker": live.worker, "pid": live.pid, "attempt": live.attempt}
        if "number" in message:
            content["number"] = message["number"]
        self._tell.step(live, "state", content, at=live.began)
        token, pid, worker, given, began = live.token, live.pid, live.worker, live.given, live.began
        # A step that ends sooner needs no write of its own for having begun.
        live.timers.append(
            self.journal.soon(
                lambda records: records.mark_running(token, pid=pid, worker=worker, given=given, started=began)
            )
        )
        self._stopper.limit_time(live)

    async def _conclude(self, live: LiveStep, message: Message) -> None:
        most = live.backend.offer.capacity.memory
        error, samples = explained(message, live.seen, live.resources, began=live.began, most=most)
        message = {**message, "error": error, "samples": samples}
        verdict = judge(live.name, live.request.options, live.attempt, message, live.done, taken=live.taken)
        size = grown(live.resources, verdict.error, live.backend.offer.capacity)
        if verdict.retry and not live.survived and size is not None:
            await self._try_again(live, message, verdict, size)
        else:
            await self._commit(live, message, verdict)

    async def _commit(self, live: LiveStep, message: Mapping[str, Any], verdict: Verdict) -> None:
        """Write the end, for as long as it takes, then tell it."""
        told = False
        while not await self._try_commit(live, message, verdict):
            if not told:
                self._tell.note(live, "the records cannot be written now; the step's end waits for them")
                told = True
            await asyncio.sleep(_RETRY_PAUSE)
        self.runs.step_ended(live.run)

    async def _try_commit(self, live: LiveStep, message: Mapping[str, Any], verdict: Verdict) -> bool:
        """Write the end and tell it; False when the records cannot be written now, and nothing was.

        The numbers of the events are taken first, because they are written in the same commit.
        """
        content = finished_content(live, message, verdict)
        told = [self._tell.reserve_step(live, "finished", content)]
        if live.owns_run:
            told.append(self._tell.reserve_run(live.run, {"state": verdict.state}))
        earlier = self.journal.take()
        end = end_of_attempt(live, content, [*earlier, *(event for _, event in told)])
        try:
            written = await self.journal.write(lambda records: records.finish_step(end))
        except Exception as error:  # noqa: BLE001 - followers must not wait behind an event that never comes
            if can_pass(error):
                _log.warning("the end of step %s of run %d waits: %s", live.name, live.run, error)
                self.journal.give_back(earlier)
                for slot, _ in told:
                    self.hub.drop(slot)
                return False
            _log.exception("the end of step %s of run %d", live.name, live.run)
            written = False
        if not written:
            _log.error("the records did not take the end of step %s of run %d", live.name, live.run)
            self.journal.give_back(earlier)
            told = as_lost(told, live)
        elif verdict.state == "succeeded":
            self.reuser.forget_items(live.request)
        # Its name is free before anyone hears of its end.
        self.steps.remove(live)
        self._queue.look_soon()
        self._background.spawn(live.backend.settled(live.token))
        private = str(message.get("private") or "") if written else ""
        for slot, event in told:
            self.hub.fill(slot, event, private=private if event.kind == "finished" else "")
        return True

    # -- once more

    async def _try_again(self, live: LiveStep, message: Message, verdict: Verdict, size: Resources) -> None:
        content = finished_content(live, message, verdict)
        end, following = end_of_attempt(live, content, ()), live.next_token
        self.journal.post(lambda records: records.retry_step(end, token=following))
        self._background.spawn(live.backend.settled(live.token))
        live.kept = await self.reuser.kept_items(live.request)
        options = live.request.options
        self._tell.note(live, why_again(live, verdict, size))
        if size != live.resources:
            live.resources = size
            self.journal.post(lambda records: records.resize_step(live.step_id, size))
        live.taken += verdict.free
        self.steps.renew(live)
        self._tell.queued_again(live, content)
        # Asked for while neither the last attempt nor the next was with the backend.
        if self._stopper.stopped(live, " between two attempts"):
            return
        if options.retry_delay and not verdict.free:
            loop = asyncio.get_running_loop()
            live.delay = loop.call_later(options.retry_delay, self._delay_over, live)
        else:
            await self._dispatch(live)

    def _delay_over(self, live: LiveStep) -> None:
        live.delay = None
        self._spawn(live, self._dispatch(live))

    def _give_up(self, live: LiveStep, error: CellyardError, *, state: str = "cancelled") -> None:
        """End a step whose current attempt is not with the backend."""
        if live.delay is not None:
            live.delay.cancel()
            live.delay = None
        if live.concluding:
            return
        live.concluding = True
        content = error_content(error)
        self._spawn(live, self._commit(live, {}, Verdict(state, content, retry=False)))

    def _spawn(self, live: LiveStep, work: Coroutine[Any, Any, None]) -> None:
        """Begin what brings the step nearer to its end."""
        self._background.spawn(work, lambda error: self._broken(live, error))

    def _broken(self, live: LiveStep, error: BaseException) -> None:
        """What should never happen has; the step ends all the same, and takes nobody's name with it."""
        if self.steps.by_handle(live.handle) is not live:
            return
        if live.broken:
            self.steps.remove(live)
            return
        live.broken, live.concluding = True, False
        message = f"the engine failed at step {live.name!r}: {type(error).__name__}: {error}."
        self._give_up(live, EngineError(message, hint="Its log has the traceback."), state="failed")
