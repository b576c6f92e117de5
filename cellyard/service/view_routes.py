"""Routes that faces look through, changing nothing: what runs where, attempts, the grammar of the %%step line."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from pydantic import BaseModel

from cellyard.execution.admission import lacking
from cellyard.execution.live import LiveStep
from cellyard.model import Resources
from cellyard.model.step_line import parse_step_line
from cellyard.model.step_options import OPTIONS
from cellyard.service.asked import JsonAnswer, Ready, Serving

__all__ = ["router"]

router = APIRouter()


@router.get("/v1/workers")
async def workers(engine: Ready) -> JsonAnswer:
    """The places where steps run, what they have, their workers, and the steps that are there now; ``began`` is None
    for one that waits. ``dashboard`` is the command that leads to Dask's own, where it has one."""
    live = list(engine.runner.steps)
    places = [
        {
            "name": name,
            "place": backend.offer.place,
            "capacity": backend.offer.capacity.to_dict(),
            "default": name == engine.routes.default,
            "most_workers": backend.offer.workers,
            "idle": backend.offer.idle,
            "workers": [each.to_dict() for each in backend.workers],
            "dashboard": backend.dashboard,
            "steps": [_seen(step) for step in live if step.backend is backend],
        }
        for name, backend in engine.routes.started().items()
    ]
    return JsonAnswer({"places": places})


class SizeRequest(BaseModel):
    """A step's size, the backend that it names (empty: the default), and whether its line says ``--fit``."""

    resources: dict[str, Any]
    on: str = ""
    fit: bool = False


@router.post("/v1/sizes/lacking")
async def lacks(engine: Ready, wanted: SizeRequest) -> JsonAnswer:
    """What a step of that size could never get there, in words; None when it fits."""
    resources = Resources.from_dict(wanted.resources)
    return JsonAnswer({"lacks": lacking(resources, engine.routes.offer(wanted.on), fit=wanted.fit)})


@router.get("/v1/runs/{run}/steps/{step_id}/attempts")
async def attempts(engine: Ready, run: int, step_id: int) -> JsonAnswer:
    """The attempts at a step, the first one first."""
    found = await engine.runner.journal.read(lambda records: records.attempts(step_id))
    return JsonAnswer({"attempts": [each.to_dict() for each in found]})


@router.get("/v1/step-options")
async def options(engine: Serving) -> JsonAnswer:
    """The options of the %%step line, in the order in which they are explained."""
    found = [
        {
            "flag": each.flag,
            "metavar": each.metavar,
            "help": each.help,
            "example": each.example,
            "values": list(each.values),
            "repeats": each.repeats,
        }
        for each in OPTIONS
    ]
    return JsonAnswer({"options": found})


@router.post("/v1/step-line")
async def step_line(engine: Serving, line: Annotated[str, Body(embed=True)]) -> JsonAnswer:
    """A %%step line (without ``%%step``), understood; what is wrong with it is refused as the magic would."""
    return JsonAnswer(parse_step_line(line).to_dict())


def _seen(step: LiveStep) -> dict[str, Any]:
    return {
        "run": step.run,
        "step_id": step.step_id,
        "name": step.name,
        "notebook": step.request.notebook,
        "attempt": step.attempt,
        "token": step.handle,
        "resources": step.resources.to_dict(),
        "began": step.began or None,
        "worker": step.worker,
        "peak_memory": step.peak_memory,
    }
