"""The routes of coming back: which steps go on without a kernel, and that one has taken what a step made."""

from __future__ import annotations

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cellyard.service.asked import JsonAnswer, Ready

__all__ = ["router"]

router = APIRouter()


class TakenRequest(BaseModel):
    """The tokens of steps."""

    tokens: list[str] = Field(max_length=10_000)


@router.post("/v1/steps/taken")
async def taken(engine: Ready, wanted: TakenRequest) -> JsonAnswer:
    """A kernel has taken over what these steps made: they need not be offered to the one after it."""
    engine.runner.journal.post(lambda records: records.mark_taken(wanted.tokens))
    return JsonAnswer({})


@router.get("/v1/notebooks/untaken")
async def untaken(engine: Ready, notebook: str) -> JsonAnswer:
    """The steps that the notebook's cells have begun and that no kernel follows: those that run, and those that have
    ended without one that took over what they made."""
    found = await engine.runner.journal.read(lambda records: records.untaken(notebook))
    waiting = [step for step in found if not engine.hub.is_attended(step.id)]
    return JsonAnswer({"steps": [step.to_dict() for step in waiting]})
