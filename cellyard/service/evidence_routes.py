"""The routes of what steps used: curves of memory, proposed sizes, costs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter

from cellyard.errors import NotFound
from cellyard.model.sizing import propose, sizes_of_attempts
from cellyard.service.asked import Json, JsonAnswer, Ready

if TYPE_CHECKING:
    from cellyard.model import Resources
    from cellyard.records import AttemptRecord, Records, StepRecord

__all__ = ["router"]

router = APIRouter()
_MOST = 20


@router.get("/v1/runs/{run}/steps/{name}/samples")
async def samples(engine: Ready, run: int, name: str, attempt: int | None = None) -> JsonAnswer:
    """Memory and CPU time of one attempt at a step (the newest, unless one is named) over its life, its limit, and its
    largest objects when they were last looked at."""

    def read(records: Records) -> tuple[StepRecord, list[Json], dict[int, Resources]]:
        step = _step(records.steps(run), run, name)
        kinds = ("memory", "objects", "state", "finished")
        sizes = {each.number: size for each, size in _sized(step, records.attempts(step.id))}
        return step, records.contents_of(run, step.id, kinds), sizes

    step, contents, sizes = await engine.runner.journal.read(read)
    wanted = attempt or step.attempt
    seen = [each for each in contents if each["attempt"] == wanted]
    ended = [each["ended"] for each in contents if each.get("ended", {}).get("attempt") == wanted]
    points = _points([*seen, *ended], seen)
    objects = [each["objects"] for each in seen if each["kind"] == "objects"]
    found = {
        "run": run,
        "step": name,
        "attempt": wanted,
        "limit": sizes.get(wanted, step.resources).memory,
        "peak": max((point["bytes"] for point in points), default=0),
        "samples": points,
        "objects": objects[-1] if objects else [],
    }
    return JsonAnswer(found)


@router.get("/v1/notebooks/sizes")
async def sizes(engine: Ready, notebook: str, name: str | None = None) -> JsonAnswer:
    """For each step of a notebook: which size to ask for, and what its latest attempts used."""
    found = await engine.runner.journal.read(lambda records: records.evidence(notebook, name, most=_MOST))
    steps = [
        {"name": step, "proposal": propose(used).to_dict(), "attempts": [each.to_dict() for each in used]}
        for step, used in sorted(found.items())
    ]
    return JsonAnswer({"steps": steps})


@router.get("/v1/runs/{run}/cost")
async def cost(engine: Ready, run: int) -> JsonAnswer:
    """What a run has cost, step by step, by the price table of the settings; all attempts count."""
    prices = engine.settings.prices

    def read(records: Records) -> list[Json]:
        return [
            {"name": step.name, "step_id": step.id, "amount": _amount(step, records, prices)}
            for step in records.steps(run)
        ]

    steps = await engine.runner.journal.read(read)
    amount = sum(each["amount"] for each in steps)
    return JsonAnswer({"run": run, "prices": prices.to_dict(), "amount": amount, "steps": steps})


def _amount(step: StepRecord, records: Records, prices: Any) -> float:
    known = _sized(step, records.attempts(step.id))
    return float(sum(prices.cost(size, each.seconds or 0.0, peak=each.peak_memory) for each, size in known))


def _sized(step: StepRecord, attempts: Sequence[AttemptRecord]) -> list[tuple[AttemptRecord, Resources]]:
    """Each attempt with the size that it had."""
    return list(zip(attempts, sizes_of_attempts(step.resources, [each.error for each in attempts]), strict=True))


def _step(steps: Iterable[StepRecord], run: int, name: str) -> StepRecord:
    found = [step for step in steps if step.name == name]
    if not found:
        raise NotFound(what=f"step {name!r} in run {run}", hint="")
    return found[-1]


def _points(ends: Iterable[Mapping[str, Any]], seen: Iterable[Mapping[str, Any]]) -> list[Json]:
    """The worker's own curve; of a step that runs, or whose worker did not live to send it, what was told meanwhile."""
    for end in ends:
        if end.get("samples"):
            return [{"seconds": t, "bytes": used, "cpu": cpu} for t, used, cpu in end["samples"]]
    began, points = None, []
    for each in seen:
        if each["kind"] == "state" and each.get("state") == "running":
            began = each["time"]
        elif each["kind"] == "memory":
            began = each["time"] if began is None else began
            points.append(
                {"seconds": round(each["time"] - began, 3), "bytes": each["bytes"], "cpu": each.get("cpu", 0.0)}
            )
    return points
