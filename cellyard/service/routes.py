"""The routes. Each reads its request, calls the engine, and writes the answer: nothing else."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field

from cellyard.errors import UsageError
from cellyard.execution.hub import Event, EventFilter
from cellyard.model import TERMINAL, StepRequest
from cellyard.service.asked import Json, JsonAnswer, Ready, Serving
from cellyard.service.engine import Engine
from cellyard.service.events import EventResponse, Reading

__all__ = ["router"]

router = APIRouter()


class StopRequest(BaseModel):
    """How to leave: with ``drain`` after the running steps, otherwise at once."""

    drain: bool = True


class RunRequest(BaseModel):
    """A run that steps are to join; lost when the process ``owner_pid`` ends before it is finished."""

    kind: str = Field(default="notebook", pattern="^(notebook|cell)$")
    notebook: str
    session: str = ""
    owner_pid: int | None = None
    name: str | None = None
    owner: str | None = None
    commit: str | None = None
    changed: bool | None = None
    tags: list[str] = Field(default_factory=list)
    parameters: Json = Field(default_factory=dict)
    resumes: int | None = None


class FinishRequest(BaseModel):
    """How a run ended."""

    state: str = Field(pattern="^(succeeded|failed|cancelled)$")
    error: Json | None = None


@router.get("/v1/engine")
async def describe(engine: Serving) -> JsonAnswer:
    """Version, process, store, environment, capacity, state, and how many steps run."""
    return JsonAnswer(engine.facts())


@router.post("/v1/engine/stop")
async def stop(engine: Serving, wanted: StopRequest) -> JsonAnswer:
    """Ask the engine to leave; returns at once."""
    engine.stop(drain=wanted.drain)
    return JsonAnswer(engine.facts())


@router.post("/v1/steps", response_class=EventResponse, status_code=200)
async def submit(
    engine: Ready, request: Request, token: Annotated[str, Query(pattern="^[0-9a-f]{8,64}$")]
) -> EventResponse:
    """Run a step; the answer is the stream of its events, from accepted to finished. The token, chosen by
    the caller and never used before, names the step from then on."""
    engine.check_taking()
    accepted = await engine.runner.submit(_step_request(await request.body()), token)
    reading = _step_reading(accepted.live.run, accepted.live.step_id, since=0)
    return EventResponse(engine.follow(reading, accepted.events))


@router.get("/v1/steps/{token}/events", response_class=EventResponse, status_code=200)
async def resume(engine: Ready, token: str, since: int = 0) -> EventResponse:
    """The rest of a submitted step's events."""
    run, step_id = await engine.runner.find(token)

    async def is_over() -> bool:
        return engine.runner.steps.by_handle(token) is None

    reading = replace(_step_reading(run, step_id, since=since), is_over=is_over)
    return EventResponse(engine.follow(reading))


@router.post("/v1/steps/{token}/interrupt")
async def interrupt(engine: Ready, token: str) -> JsonAnswer:
    """KeyboardInterrupt in the step; without effect when it is unknown or has finished."""
    await engine.runner.interrupt(token)
    return JsonAnswer({})


@router.post("/v1/steps/{token}/cancel")
async def cancel(engine: Ready, token: str) -> JsonAnswer:
    """End the step by force; without effect when it is unknown or has finished."""
    await engine.runner.cancel(token)
    return JsonAnswer({})


@router.get("/v1/notebooks/steps")
async def notebook_steps(engine: Ready, notebook: str, by_cell: bool = False) -> JsonAnswer:
    """The latest step of each name that the notebook has run; ``by_cell``: of each cell that has run it."""
    found = await engine.runner.journal.read(lambda records: records.latest_steps(notebook, by_cell=by_cell))
    return JsonAnswer({"steps": [step.to_dict() for step in found]})


@router.post("/v1/runs")
async def create(engine: Ready, wanted: RunRequest) -> JsonAnswer:
    """Open a run that steps join."""
    engine.check_taking()
    facts = wanted.model_dump()
    own = {key: facts.pop(key) for key in ("kind", "notebook", "session", "owner_pid")}
    run = await engine.runner.runs.create(**own, origin=facts)
    return JsonAnswer(await _run(engine, run))


@router.get("/v1/runs/{run}")
async def one(engine: Ready, run: int) -> JsonAnswer:
    """One run."""
    return JsonAnswer(await _run(engine, run))


@router.get("/v1/runs/{run}/steps")
async def steps(engine: Ready, run: int) -> JsonAnswer:
    """The steps of a run, in order."""
    await _run(engine, run)
    found = await engine.runner.journal.read(lambda records: records.steps(run))
    return JsonAnswer({"steps": [step.to_dict() for step in found]})


@router.post("/v1/runs/{run}/finish")
async def finish(engine: Ready, run: int, wanted: FinishRequest) -> JsonAnswer:
    """Say how an open run ended."""
    await engine.runner.runs.finish(run, wanted.state, wanted.error)
    return JsonAnswer(await _run(engine, run))


@router.post("/v1/runs/{run}/cancel")
async def cancel_run(engine: Ready, run: int) -> JsonAnswer:
    """Cancel a run and its live steps; without effect when it has finished."""
    await _run(engine, run)
    await engine.runner.cancel_run(run)
    return JsonAnswer(await _run(engine, run))


@router.get("/v1/runs/{run}/events", response_class=EventResponse, status_code=200)
async def run_events(engine: Ready, run: int, since: int = 0, follow: bool = False) -> EventResponse:
    """What happened in a run after number ``since``; with ``follow`` until the run has ended."""
    await _run(engine, run)

    async def is_over() -> bool:
        return not engine.runner.is_open(run)

    reading = Reading(wanted=EventFilter(run), since=since, live=follow, is_last=_ends_run, is_over=is_over)
    return EventResponse(engine.follow(reading))


@router.get("/v1/events", response_class=EventResponse, status_code=200)
async def all_events(engine: Ready, since: int = 0, follow: bool = False, kinds: str = "") -> EventResponse:
    """What happened in all runs after number ``since``; with ``follow`` also what is to come, with ``kinds``
    (``accepted,state,finished``) only that."""
    wanted = frozenset(kinds.split(",")) if kinds else None
    reading = Reading(wanted=EventFilter(), since=since, live=follow, kinds=wanted)
    return EventResponse(engine.follow(reading))


async def _run(engine: Engine, run: int) -> Json:
    found = await engine.runner.journal.read(lambda records: records.run(run))
    return found.to_dict()


def _step_request(body: bytes) -> StepRequest:
    # Not a model of pydantic: the request may be large, and from_dict is its one reader.
    try:
        return StepRequest.from_dict(json.loads(body))
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"the request is not a step: {type(error).__name__}: {error}") from error


def _step_reading(run: int, step_id: int, *, since: int) -> Reading:
    return Reading(wanted=EventFilter(run, step_id), since=since, private=True, is_last=_ends_step)


def _ends_step(event: Event) -> bool:
    return event.kind == "finished"


def _ends_run(event: Event) -> bool:
    return event.kind == "state" and event.step_id is None and event.content.get("state") in TERMINAL
