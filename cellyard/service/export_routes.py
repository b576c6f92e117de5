"""The routes of exports: which targets there are, the export itself, and a cron expression told in words."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from cellyard.errors import UsageError
from cellyard.schedules.cron import Schedule, parse_schedule
from cellyard.service.asked import Ready, Serving
from cellyard.settings import Settings

__all__ = ["exports"]

exports = APIRouter()
_NEXT = 5


class CronRequest(BaseModel):
    """When something is to happen."""

    expression: str
    timezone: str | None = None


class ExportWanted(BaseModel):
    """A notebook's file, the target, and the folder for what is written; both paths are whole ones. ``lock``: with the
    exact packages (a bundle). ``expression``: when it is to run, where the target itself keeps time."""

    path: str
    output: str
    to: str = "bundle"
    name: str | None = None
    lock: bool = True
    expression: str | None = None
    timezone: str | None = None
    secrets: list[str] = Field(default_factory=list)


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


@exports.post("/v1/exports")
async def export(engine: Ready, wanted: ExportWanted) -> JSONResponse:
    """Write what runs the notebook elsewhere; answers with the files, and what is to be known."""
    return JSONResponse(await asyncio.to_thread(_export, wanted, engine.settings))


def _export(wanted: ExportWanted, settings: Settings) -> dict[str, Any]:
    from cellyard.exporters.bundling import make_bundle, write_export

    path, output = Path(wanted.path), Path(wanted.output)
    if not path.is_absolute() or not output.is_absolute():
        raise UsageError(f"whole paths are needed: {wanted.path}, {wanted.output}")
    if wanted.to == "bundle":
        made = make_bundle(path, {}, name=wanted.name, lock=wanted.lock)
    else:
        made = _elsewhere(wanted, path, settings)
    write_export(made, output)
    return {"output": str(output), "files": sorted([*made.files, *made.data]), "notes": list(made.notes)}


def _elsewhere(wanted: ExportWanted, path: Path, settings: Settings) -> Any:
    """What a target makes that starts the notebook itself."""
    from cellyard.exporters.base import ExportRequest
    from cellyard.exporters.bundling import bundle_for_job, content_of
    from cellyard.exporters.registry import create_exporter

    if not settings.store.startswith("s3://"):
        raise UsageError(
            f"the store {settings.store} is a folder of this machine, which {wanted.to} cannot reach: "
            "set CELLYARD_STORE=s3://BUCKET/PREFIX, or export a bundle."
        )
    schedule: Schedule | None = None
    if wanted.expression:
        schedule = parse_schedule(wanted.expression, wanted.timezone)
    options: dict[str, Any] = {"name": wanted.name or "", "secrets": tuple(wanted.secrets)}
    if wanted.to == "kubernetes":
        options["bundle"], _ = bundle_for_job(path, {})
    kubernetes = replace(settings.kubernetes, namespace=settings.kubernetes.namespace or "cellyard")
    request = ExportRequest(
        notebook=path.name,
        content=content_of(path),
        settings=replace(settings, kubernetes=kubernetes),
        schedule=schedule,
        options=options,
    )
    return create_exporter(wanted.to).export(request)
