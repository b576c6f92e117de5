"""Teller: says what happens, to followers at once and to the records soon after. Writes nothing."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from cellyard.errors import WorkerLost
from cellyard.execution.hub import Event, Hub, Slot
from cellyard.execution.journal import Journal
from cellyard.execution.live import LiveStep, LiveSteps
from cellyard.execution.verdict import Verdict, error_content
from cellyard.model import Resources, StepState, format_duration, format_memory

if TYPE_CHECKING:
    from cellyard.records import AttemptEnd

__all__ = ["QueueTeller", "Teller", "as_lost", "end_of_attempt", "finished_content", "why_again"]

_LOOK_AGAIN = 0.2
_SLOW = 0.5


class Teller:
    """Publishes events and notes them in the journal."""

    def __init__(self, hub: Hub, journal: Journal) -> None:
        self.hub = hub
        self.journal = journal

    def step(self, live: LiveStep, kind: str, content: dict[str, Any], *, at: float | None = None) -> None:
        """Tell something of a live step."""
        event = self.hub.publish(
            kind,
            content,
            run=live.run,
            step=live.name,
            step_id=live.step_id,
            attempt=live.attempt,
            at=at,
        )
        self.journal.note(event)

    def passing(self, live: LiveStep, kind: str, content: dict[str, Any]) -> None:
        """Tell something that nobody needs later: it is not recorded."""
        self.hub.publish(kind, content, run=live.run, step=live.name, step_id=live.step_id, attempt=live.attempt)

    def starting(self, live: LiveStep, at: float) -> None:
        """It has a worker since then, or one is begun for it. Told and written by itself where that takes long;
        otherwise it is written with its beginning."""
        if not live.given:
            live.given = at
            live.timers.append(asyncio.get_running_loop().call_later(_SLOW, self._still_starting, live))

    def _still_starting(self, live: LiveStep) -> None:
        if not live.began:
            token, given = live.token, live.given
            self.journal.post(lambda records: records.mark_given(token, given))
            self.passing(live, "starting", {"given": given, "attempt": live.attempt})

    def queued_again(self, live: LiveStep, ended: Mapping[str, Any]) -> None:
        """The next attempt waits; ``ended`` is how the one before it did."""
        last = {"attempt": live.attempt - 1, "samples": ended["samples"], "peak_memory": ended["peak_memory"]}
        content = {"state": "queued", "attempt": live.attempt, "error": ended["error"], "ended": last}
        self.step(live, "state", {**content, "resources": live.resources.to_dict()})

    def note(self, live: LiveStep, text: str) -> None:
        """A sentence of ours among the step's own output (stderr)."""
        self.step(live, "output", {"type": "stream", "name": "stderr", "text": f"note: {text}\n"})

    def run(self, run: int, content: dict[str, Any]) -> None:
        """Tell that a run as a whole has changed."""
        self.journal.note(self.hub.publish("state", content, run=run))

    def reserve_run(self, run: int, content: dict[str, Any]) -> tuple[Slot, Event]:
        """An event of a run that is told later, with its number now."""
        slot = self.hub.reserve(run)
        return slot, Event(slot.seq, run, None, None, None, time.time(), "state", content)

    def reserve_step(self, live: LiveStep, kind: str, content: dict[str, Any]) -> tuple[Slot, Event]:
        """An event of a step that is told later, with its number now."""
        slot = self.hub.reserve(live.run, live.step_id)
        event = Event(slot.seq, live.run, live.name, live.step_id, live.attempt, time.time(), kind, content)
        return slot, event


class QueueTeller:
    """Tells queued steps what they wait for now. Not after every change: where a thousand wait, each is one for all."""

    def __init__(self, teller: Teller, steps: LiveSteps) -> None:
        self._teller = teller
        self._steps = steps
        self._timer: asyncio.TimerHandle | None = None

    def look_soon(self) -> None:
        """Something has come or gone."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_LOOK_AGAIN, self._look)

    def _look(self) -> None:
        self._timer = None
        for live in self._steps.wait_anew():
            self._teller.passing(live, "waiting", {"waits_for": live.waits_for})


def as_lost(told: Sequence[tuple[Slot, Event]], live: LiveStep) -> list[tuple[Slot, Event]]:
    """The same events for an end that the records have not taken, because another one is there or none can be: nobody
    may build on what they do not have."""
    hint = "Its end is not in the records, so that what it made cannot be found again. Run it again."
    error = error_content(WorkerLost(step=live.name, worker=live.worker or "", hint=hint))
    lost: dict[str, Any] = {
        "state": "lost",
        "outputs": [],
        "deleted": [],
        "result": None,
        "process_state": None,
        "error": error,
    }
    return [
        (slot, replace(event, content={key: lost.get(key, value) for key, value in event.content.items()}))
        for slot, event in told
    ]


def finished_content(live: LiveStep, message: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """What a finished event says; never the private part."""
    now = time.time()
    return {
        "state": verdict.state,
        "attempt": live.attempt,
        "outputs": list(message.get("outputs") or ()),
        "deleted": list(message.get("deleted") or ()),
        "result": message.get("result"),
        "error": verdict.error,
        "peak_memory": max(live.peak_memory, int(message.get("peak_memory") or 0)),
        "cpu_seconds": float(message.get("cpu_seconds") or 0.0),
        "process_state": message.get("process_state"),
        "samples": list(message.get("samples") or ()),
        "seconds": max(0.0, now - live.began) if live.began else 0.0,
        "time": now,
    }


def end_of_attempt(live: LiveStep, content: Mapping[str, Any], events: Sequence[Event]) -> AttemptEnd:
    """The same for the records."""
    # SQLAlchemy comes with it, which the engine imports after its socket answers.
    from cellyard.records import AttemptEnd

    return AttemptEnd(
        token=live.token,
        state=StepState(content["state"]),
        outputs=content["outputs"],
        error=content["error"],
        peak_memory=content["peak_memory"] or None,
        cpu_seconds=content["cpu_seconds"],
        finished=content["time"],
        # By clocks of two machines, perhaps.
        given=min(live.given, live.began or live.given) or None,
        started=live.began or None,
        pid=live.pid,
        worker=live.worker,
        ends_run=live.owns_run,
        events=events,
        keeps=_keeps(live, content),
    )


_NEVER_KEPT = frozenset({"environment", "path", "folder"})


def _keeps(live: LiveStep, content: Mapping[str, Any]) -> dict[str, Any] | None:
    """What may be taken again of the step's result, if anything: not when the step has changed what is recorded
    nowhere."""
    request, state = live.request, content["process_state"] or {}
    if not request.key or content["state"] != "succeeded" or _NEVER_KEPT & set(state.get("sections") or ()):
        return None
    return {
        "key": request.key,
        "notebook": request.notebook,
        "name": request.name,
        "parts": {**(request.parts or {}), "source": request.source},
        "content": {key: content[key] for key in ("outputs", "deleted", "result", "process_state")},
    }


def why_again(live: LiveStep, verdict: Verdict, size: Resources) -> str:
    """Why the step is tried again, as a sentence."""
    if verdict.free and verdict.error:
        return f"{verdict.error['message']} The step begins again; this does not count as a retry"
    options = live.request.options
    kind = verdict.error["type"] if verdict.error else verdict.state
    more = f", with {format_memory(size.memory)}" if size.memory and size != live.resources else ""
    pause = f" in {format_duration(options.retry_delay)}" if options.retry_delay else ""
    return f"attempt {live.attempt - live.taken} of {options.retries + 1} ended with {kind}; next one{pause}{more}"
