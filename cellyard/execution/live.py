"""LiveStep: a step that has been accepted and has not finished; and the table of all of them. Pure memory."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cellyard.backends.base import Backend, StepTask
from cellyard.errors import StepAlreadyRunning
from cellyard.execution.causes import Seen
from cellyard.execution.verdict import Intervention
from cellyard.execution.waiting import Occupancy, Occupant
from cellyard.model import Resources, StepRequest
from cellyard.model.moving import Moving

if TYPE_CHECKING:
    from cellyard.records import OpenedStep

__all__ = ["LiveStep", "LiveSteps", "task_of"]


@dataclass(slots=True, eq=False)
class LiveStep:
    """One accepted step. ``handle`` is the token its face knows it by, for all attempts; ``token`` is that of
    the current attempt, the only one that may still say anything. ``owns_run``: the run ends with the step.
    """

    handle: str
    request: StepRequest
    backend: Backend
    resources: Resources
    run: int
    step_id: int
    owns_run: bool
    token: str
    attempt: int = 1
    taken: int = 0  # attempts whose worker the cluster took away
    survived: bool = False  # its engine; it cannot be tried again
    given: float = 0.0  # to a worker, or a worker begun for it
    began: float = 0.0
    waits_for: str = ""  # in the words that were told last
    pid: int | None = None
    worker: str | None = None
    peak_memory: int = 0
    seen: Seen = field(default_factory=Seen)
    done: Intervention = field(default_factory=Intervention)
    kept: Sequence[Mapping[str, Any]] = ()  # what items of earlier tries have made
    concluding: bool = False
    broken: bool = False  # the engine has failed at it once
    timers: list[asyncio.TimerHandle] = field(default_factory=list)
    delay: asyncio.TimerHandle | None = None

    @classmethod
    def of(
        cls, opened: OpenedStep, request: StepRequest, handle: str, backend: Backend, resources: Resources
    ) -> LiveStep:
        """The step that the records have just opened for this request."""
        return cls(
            handle=handle,
            request=request,
            backend=backend,
            resources=resources,
            run=opened.run_id,
            step_id=opened.step_id,
            owns_run=request.run is None,
            token=handle,
        )

    @property
    def name(self) -> str:
        return self.request.name

    @property
    def key(self) -> tuple[str, str, str]:
        """What may be live only once."""
        return (self.request.notebook, self.request.session, self.request.name)

    @property
    def next_token(self) -> str:
        """The token of the attempt after this one."""
        return f"{self.handle}.{self.attempt + 1}"

    def begin_attempt(self) -> None:
        """From now on only the next attempt's token counts."""
        self.token = self.next_token
        self.attempt += 1
        self.given, self.began, self.pid, self.worker = 0.0, 0.0, None, None
        self.concluding = False
        self.peak_memory = 0
        self.seen = Seen()
        self.done = replace(self.done, timed_out=False)

    def stop_timers(self) -> None:
        """No timeout strikes any more, and nobody notes that it runs."""
        for each in self.timers:
            each.cancel()
        self.timers.clear()


class LiveSteps:
    """All live steps, by handle, by current token, and by name."""

    def __init__(self) -> None:
        self._by_handle: dict[str, LiveStep] = {}
        self._by_token: dict[str, LiveStep] = {}
        self._names: dict[tuple[str, str, str], int | None] = {}

    def __len__(self) -> int:
        return len(self._by_handle)

    def __iter__(self) -> Iterator[LiveStep]:
        return iter(list(self._by_handle.values()))

    def claim(self, request: StepRequest) -> None:
        """Reserve the step's name in its notebook and session; raises StepAlreadyRunning."""
        key = (request.notebook, request.session, request.name)
        if key in self._names:
            hint = "Wait for it, stop it, or give this one another name."
            raise StepAlreadyRunning(step=request.name, run=self._names[key] or "that is being opened", hint=hint)
        self._names[key] = None

    def unclaim(self, request: StepRequest) -> None:
        """Give the name back."""
        self._names.pop((request.notebook, request.session, request.name), None)

    def add(self, live: LiveStep) -> None:
        """The step whose name was claimed is live now."""
        self._names[live.key] = live.run
        self._by_handle[live.handle] = live
        self._by_token[live.token] = live

    def renew(self, live: LiveStep) -> None:
        """Begin the step's next attempt."""
        self._by_token.pop(live.token, None)
        live.begin_attempt()
        self._by_token[live.token] = live

    def remove(self, live: LiveStep) -> None:
        """The step has finished."""
        live.stop_timers()
        self._by_handle.pop(live.handle, None)
        self._by_token.pop(live.token, None)
        self.unclaim(live.request)

    def move(self, moving: Moving) -> None:
        """Those of a notebook that was renamed are its steps under its new path."""
        for live in self:
            request = live.request
            notebook = moving.path_of(request.notebook, request.session)
            if notebook != request.notebook:
                self.unclaim(request)
                live.request = replace(request, notebook=notebook)
                self._names[live.key] = live.run

    def by_handle(self, handle: str) -> LiveStep | None:
        return self._by_handle.get(handle)

    def by_token(self, token: str) -> LiveStep | None:
        """The live step whose current attempt has this token."""
        return self._by_token.get(token)

    def waited_for(self, live: LiveStep) -> str:
        """What a step that has just come waits for, in words; empty when there is room for it now."""
        there = Occupancy(live.backend.offer.capacity)
        for each in self:
            if each.backend is live.backend and each is not live:
                there.add(Occupant(each.name, each.run, each.resources))
        live.waits_for = there.short_for(live.resources)
        return live.waits_for

    def wait_anew(self) -> list[LiveStep]:
        """The steps that wait for something else than was told last; what that is they have from now on. Takes time in
        proportion to the number of live steps."""
        found: list[LiveStep] = []
        taken: dict[int, Occupancy] = {}
        for live in sorted(self, key=lambda each: not each.began):
            there = taken.get(id(live.backend))
            if there is None:
                there = taken[id(live.backend)] = Occupancy(live.backend.offer.capacity)
            words = "" if live.began else there.short_for(live.resources)
            if words != live.waits_for:
                live.waits_for = words
                if not live.began:
                    found.append(live)
            there.add(Occupant(live.name, live.run, live.resources))
        return found

    def of_run(self, run: int) -> list[LiveStep]:
        return [live for live in self if live.run == run]


def task_of(live: LiveStep, log_limit: int | None) -> StepTask:
    """The step's current attempt, for its backend."""
    kept = {"kept": list(live.kept)} if live.kept else {}
    return StepTask(
        token=live.token,
        run=live.run,
        step=live.step_id,
        name=live.name,
        request={**live.request.to_dict(), "log_limit": log_limit, **kept},
        resources=live.resources,
    )
