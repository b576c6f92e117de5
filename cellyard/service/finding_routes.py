"""The routes of runs that can be found: lists, labels, and what runs say of themselves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse
from pydantic import BaseModel, Field

from cellyard.errors import UsageError
from cellyard.model.query import parse_query
from cellyard.reports import compare_runs, run_report
from cellyard.service.asked import Json, JsonAnswer, Ready

if TYPE_CHECKING:
    from cellyard.records import Records

__all__ = ["router"]

router = APIRouter()
_MOST_ENTRIES = 10_000
_WHAT = frozenset({"metric", "parameter", "figure"})


class LabelRequest(BaseModel):
    """Tags to add and to remove; a name, or an empty one to take it away."""

    add: list[str] = Field(default_factory=list)
    remove: list[str] = Field(default_factory=list)
    name: str | None = None


class LogRequest(BaseModel):
    """What a plain cell logs. ``run`` None: a run is opened for it, which is over at once."""

    entries: list[Json] = Field(max_length=_MOST_ENTRIES)
    run: int | None = None
    notebook: str = ""
    session: str = ""
    owner: str | None = None
    commit: str | None = None


@router.get("/v1/runs")
async def runs(
    engine: Ready,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 50,
    notebook: str | None = None,
    state: str | None = None,
    tag: Annotated[list[str] | None, Query()] = None,
    where: str | None = None,
    search: str | None = None,
    before: int | None = None,
) -> JsonAnswer:
    """The newest runs that fit, newest first, each with the names and states of its steps; ``before`` the last one's
    number gives the next page."""
    from cellyard.records import RunFilter

    wanted = RunFilter(
        notebook=notebook,
        state=state,
        tags=tuple(tag or ()),
        where=parse_query(where) if where else None,
        search=search,
        before=before,
    )
    found = await engine.journal.read(lambda records: records.runs(limit, wanted))
    names = await engine.journal.read(lambda records: records.step_names([run.id for run in found]))
    return JsonAnswer({"runs": [run.to_dict() | {"steps": names.get(run.id, [])} for run in found]})


@router.patch("/v1/runs/{run}")
async def label(engine: Ready, run: int, wanted: LabelRequest) -> JsonAnswer:
    """Name a run, add tags and remove them."""
    if not all(tag.strip() for tag in wanted.add):
        raise UsageError("a tag has at least one letter")
    found = await engine.journal.write(
        lambda records: records.label_run(run, add=wanted.add, remove=wanted.remove, name=wanted.name)
    )
    return JsonAnswer(found.to_dict())


@router.get("/v1/runs/{run}/logged")
async def logged(engine: Ready, run: int) -> JsonAnswer:
    """What a run has logged: parameters, all points of its metrics, and its figures in order."""
    await engine.journal.flush()
    return JsonAnswer(await engine.journal.read(lambda records: _logged(records, run)))


@router.get("/v1/runs/{run}/compare/{other}")
async def compare(engine: Ready, run: int, other: int) -> JsonAnswer:
    """What differs between two runs: code, parameters, packages, schemas, metrics, times."""
    first, second = await engine.journal.read(lambda records: (_whole(records, run), _whole(records, other)))
    return JsonAnswer(compare_runs(first, second))


@router.get("/v1/runs/{run}/report")
async def report(engine: Ready, run: int) -> HTMLResponse:
    """The run as one page of HTML, which needs nothing else."""
    await engine.journal.flush()

    def write(records: Records) -> str:
        return run_report(*_whole(records, run), _logged(records, run), _all_events(records, run))

    page = await engine.journal.read(write)
    return HTMLResponse(page.encode("utf-8", "backslashreplace"))


@router.get("/v1/lineage/{artifact:path}")
async def lineage(engine: Ready, artifact: str, up: bool = True, down: bool = True) -> JsonAnswer:
    """What led to an artifact, and what it led to. It is named by (the beginning of) its id, RUN:NAME or
    RUN:STEP:NAME."""
    found = await engine.journal.read(lambda records: records.lineage(artifact, upward=up, downward=down))
    return JsonAnswer(found)


@router.post("/v1/logged")
async def log(engine: Ready, wanted: LogRequest) -> JsonAnswer:
    """Add to what a run has logged; the answer names the run."""
    _check(wanted.entries)
    run = wanted.run
    if run is None:
        run = await engine.journal.write(
            lambda records: records.create_ended_run(
                notebook=wanted.notebook, session=wanted.session, owner=wanted.owner, commit=wanted.commit
            )
        )
    else:
        await engine.journal.read(lambda records: records.run(run))
    engine.tell_logged(run, wanted.entries)
    return JsonAnswer({"run": run})


def _logged(records: Records, run: int) -> Json:
    points: dict[str, list[Json]] = {}
    for point in records.metric_points(run):
        points.setdefault(point.name, []).append(point.to_dict())
    return {"parameters": records.run(run).parameters, "metrics": points, "figures": records.figures(run)}


def _whole(records: Records, run: int) -> tuple[Json, list[Json]]:
    return records.run(run).to_dict(), [step.to_dict() for step in records.steps(run)]


def _all_events(records: Records, run: int) -> Iterator[Json]:
    since = 0
    while found := records.events_since(since, run_id=run):
        yield from (each.to_dict() for each in found)
        since = found[-1].seq


def _check(entries: list[Json]) -> None:
    for each in entries:
        if each.get("what") not in _WHAT or not isinstance(each.get("name"), str):
            raise UsageError(f"an entry needs `what` (one of {', '.join(sorted(_WHAT))}) and a `name`.")
        if each["what"] == "metric" and not isinstance(each.get("value"), int | float | str):
            raise UsageError(f"the metric {each['name']!r} needs a value.")
