"""The routes that help to ask for an export: which targets there are, and a cron expression told in words."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel

from cellyard.schedules.cron import parse_schedule
from cellyard.service.asked import Serving

__all__ = ["exports"]

exports = APIRouter()
_NEXT = 5


class CronRequest(BaseModel):
    """When something is to happen."""

    expression: str
    timezone: str | None = None


@exports.get("/v1/exporters")
async def exporters(engine: Serving) -> JSONResponse:
    """The targets by name; ``keeps_time`` where a schedule is a part of what is written."""
    from cellyard.exporters.registry import exporter_names

    return JSONResponse({"exporters": [{"name": name, "keeps_time": name != "bundle"} for name in exporter_names()]})


@exports.post("/v1/cron")
async def cron(engine: Serving, wanted: CronRequest) -> JSONResponse:
    """An expression in words, and the next five times in its zone."""
    found = parse_schedule(wanted.expression, wanted.timezone)
    times = found.next(_NEXT, after=datetime.now(UTC))
    return JSONResponse({"words": str(found), "next": [each.isoformat() for each in times]})
