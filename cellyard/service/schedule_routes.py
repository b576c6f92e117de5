"""The routes of schedules: make, list, pause, resume, remove, run now, look back; and a cron expression in words."""

from __future__ import annotations

import asyncio
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field

from cellyard.errors import CellyardError
from cellyard.schedules.cron import parse_schedule
from cellyard.schedules.lifetime import lifetime_here
from cellyard.schedules.wanted import WantedSchedule
from cellyard.service.asked import Json, JsonAnswer, Ready, Serving

__all__ = ["router"]

router = APIRouter()
_NEXT = 5


class ScheduleChange(BaseModel):
    """What is given is changed. While it is paused, what comes is neither run nor missed."""

    state: str | None = Field(default=None, pattern="^(active|paused)$")
    expression: str | None = None
    timezone: str | None = None
    parameters: Json | None = None
    missed: str | None = None
    overlap: str | None = None


class CronRequest(BaseModel):
    """When something is to happen."""

    expression: str
    timezone: str | None = None


@router.get("/v1/schedules")
async def schedules(engine: Ready) -> JsonAnswer:
    """All schedules by name, with their next times and their last firing; ``notes`` say what to know of them all."""
    found = await engine.journal.read(lambda records: records.schedules.all())
    last = await engine.journal.read(lambda records: records.schedules.last())
    why = lifetime_here()
    shown = [{**_shown(each), "last": last[each.id].to_dict() if each.id in last else None} for each in found]
    return JsonAnswer({"schedules": shown, "notes": [why] if why else []})


@router.post("/v1/schedules")
async def add(engine: Ready, wanted: WantedSchedule) -> JsonAnswer:
    """Make a schedule, or have one that is there run this from now on (``replaced``)."""
    from cellyard.schedules.launching import write_private
    from cellyard.service.scheduling import name_of, prepare_schedule

    all_of_them = await engine.journal.read(lambda records: records.schedules.all()) if wanted.replace else []
    before = next((each for each in all_of_them if each.name == name_of(wanted)), None)
    made = await asyncio.to_thread(prepare_schedule, wanted, engine.settings, before)
    try:
        if before is None:
            found = await engine.journal.write(lambda records: records.schedules.add(made.facts))
        else:
            found = await engine.scheduler.replace(before, made.facts)
    except CellyardError:
        await asyncio.to_thread(shutil.rmtree, made.folder, ignore_errors=True)
        raise
    if wanted.webhook:
        await asyncio.to_thread(write_private, found, {"webhook": wanted.webhook})
    await engine.scheduler.reload()
    why = lifetime_here()
    notes = [*made.notes, *([why] if why else [])]
    return JsonAnswer({**_shown(found), "notes": notes, "replaced": before is not None})


@router.get("/v1/schedules/{name}")
async def schedule(engine: Ready, name: str) -> JsonAnswer:
    """One schedule, with its next times, and the parameters that its bundle ``takes``."""
    from cellyard.exporters.bundle_reading import read_bundle

    found = await engine.journal.read(lambda records: records.schedules.named(name))
    bundle = await asyncio.to_thread(read_bundle, Path(found.bundle))
    takes = [{"name": each.name, "type": each.type, "default": each.default} for each in bundle.parameters]
    return JsonAnswer({**_shown(found), "takes": takes})


@router.patch("/v1/schedules/{name}")
async def change(engine: Ready, name: str, wanted: ScheduleChange) -> JsonAnswer:
    """Pause a schedule, let it go on, or change when and with what it runs."""
    from cellyard.service.scheduling import change_schedule

    given = wanted.model_dump(exclude_unset=True)
    state = given.pop("state", None)
    facts: Json = {"state": state} if state else {}
    if given:
        schedule = await engine.journal.read(lambda records: records.schedules.named(name))
        facts |= await asyncio.to_thread(change_schedule, schedule, given)
    return JsonAnswer(_shown(await engine.scheduler.change(name, facts)))


@router.delete("/v1/schedules/{name}")
async def remove(engine: Ready, name: str) -> JsonAnswer:
    """Take a schedule away, with its bundle; a run that goes on is stopped. Its runs stay on record."""
    from cellyard.service.scheduling import forget_bundle

    found = await engine.journal.write(lambda records: records.schedules.remove(name))
    await engine.scheduler.stop_runs(found.id)
    await engine.scheduler.reload()
    await asyncio.to_thread(forget_bundle, found, engine.settings)
    return JsonAnswer(_shown(found))


@router.post("/v1/schedules/{name}/run-now")
async def run_now(engine: Ready, name: str) -> JsonAnswer:
    """Start a run by hand."""
    engine.check_taking()
    return JsonAnswer((await engine.scheduler.run_now(name)).to_dict())


@router.get("/v1/schedules/{name}/history")
async def history(engine: Ready, name: str, limit: Annotated[int, Query(ge=1, le=1000)] = 20) -> JsonAnswer:
    """The times that it came, the newest first, and what became of them."""
    found = await engine.journal.read(lambda records: records.schedules.history(name, limit))
    return JsonAnswer({"firings": [each.to_dict() for each in found]})


@router.post("/v1/cron")
async def cron(engine: Serving, wanted: CronRequest) -> JsonAnswer:
    """An expression in words, and the next five times in its zone."""
    found = parse_schedule(wanted.expression, wanted.timezone)
    times = found.next(_NEXT, after=datetime.now(UTC))
    return JsonAnswer({"words": str(found), "next": [each.isoformat() for each in times]})


def _shown(schedule: Any) -> Json:
    from cellyard.service.scheduling import coming

    return {**schedule.to_dict(), "next": coming(schedule)}
