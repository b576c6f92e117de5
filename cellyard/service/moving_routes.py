"""The route of renaming: a notebook has another path than before."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cellyard.model.moving import Moving
from cellyard.service.asked import JsonAnswer, Ready
from cellyard.whereabouts import Whereabouts

__all__ = ["router"]

router = APIRouter()


class MovedRequest(BaseModel):
    """Whole paths: of the notebook now, and of what it was, or of a folder that holds notebooks; and the notebook's
    kernel, by Jupyter's id."""

    notebook: str = Field(min_length=1)
    before: str = ""
    kernel: str = Field(default="", pattern="^[0-9A-Za-z-]*$", max_length=100)


@router.post("/v1/notebooks/moved")
async def moved(engine: Ready, wanted: MovedRequest) -> JsonAnswer:
    """What belongs to the notebook is found by its new path from now on, also what its kernel is still going to run."""
    if wanted.kernel:
        # First: what the kernel begins while the records are changed has the new path.
        whereabouts = Whereabouts(engine.settings.runtime)
        await asyncio.to_thread(whereabouts.tell, wanted.kernel, wanted.notebook)
    moving = Moving(**wanted.model_dump())
    engine.runner.steps.move(moving)
    await engine.journal.write(lambda records: records.move_notebook(moving))
    if moving.before:
        await engine.scheduler.reload()
    return JsonAnswer({})
