"""The routes about whole notebooks: what pipeline one is, what is planned for it, what of it is reused. Each reads its
request and writes the answer."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field

from cellyard.errors import UsageError
from cellyard.model import StepRequest
from cellyard.service.asked import Json, JsonAnswer, Ready
from cellyard.service.launching import launch

__all__ = ["router"]

router = APIRouter()


class NotebookRequest(BaseModel):
    """A notebook: by the path of its file on this machine, or as it is (a document of nbformat 4). ``parameters``:
    values that are not the defaults."""

    path: str | None = None
    notebook: Json | None = None
    parameters: Json = Field(default_factory=dict)


class PlanRequest(NotebookRequest):
    """What of it is to be carried out: ``only`` these steps, these and all after them anew (``from``), all of them anew
    (``force``), or what a failed run has left (``resumes``). ``details``: answer with all that carrying it out
    needs."""

    only: list[str] = Field(default_factory=list)
    start: list[str] = Field(default_factory=list, alias="from")
    force: bool = False
    resumes: int | None = None
    details: bool = False


class RunOptions(BaseModel):
    """How a run is carried out: where steps run that do not say, how many at once, their priority, what it is called,
    and where the executed notebook goes."""

    on: str | None = None
    jobs: int | None = Field(default=None, ge=1)
    priority: int | None = None
    name: str | None = None
    tags: list[str] = Field(default_factory=list)
    output: str | None = None

    def arguments(self) -> list[str]:
        """The same as the command line has it."""
        given = {"on": self.on, "jobs": self.jobs, "priority": self.priority, "name": self.name, "output": self.output}
        found = [f"--{key}={value}" for key, value in given.items() if value is not None]
        return [*found, *(f"--tag={tag}" for tag in self.tags)]


class PipelineRunRequest(PlanRequest, RunOptions):
    """A run of a notebook's pipeline."""

    def arguments(self) -> list[str]:
        """The same as the command line has it."""
        values = [word for name, value in self.parameters.items() for word in ("-p", f"{name}={_text(value)}")]
        chosen = [f"--only={step}" for step in self.only] + [f"--from={step}" for step in self.start]
        return [str(self.path), *values, *chosen, *(["--force"] if self.force else []), *super().arguments()]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else repr(value)


class ResumeRequest(RunOptions):
    """What has stopped goes on; ``path`` where the notebook is now, if it was moved."""

    path: str | None = None


class CellResult(BaseModel):
    """What a cell has shown that ran in the kernel of a notebook's run."""

    name: str
    key: str
    parts: Json
    shown: list[Json]


class ReuseRequest(BaseModel):
    """Steps of a run that take earlier results: step requests with their keys, each with the number of its result."""

    steps: list[Json]


@router.post("/v1/pipelines")
async def pipeline(wanted: NotebookRequest) -> JsonAnswer:
    """The steps of a notebook, what goes from one to another, its parameters, and what is wrong with it."""
    return JsonAnswer(await asyncio.to_thread(_pipeline, wanted))


@router.post("/v1/plans")
async def plan(engine: Ready, wanted: PlanRequest) -> JsonAnswer:
    """For each step of a notebook whether it would run or an earlier result would be taken, and why."""
    prepared = await asyncio.to_thread(_prepared, wanted)
    planned = await engine.runner.journal.read(prepared)
    return JsonAnswer(planned.details() if wanted.details else planned.to_dict())


@router.post("/v1/pipeline-runs")
async def start(engine: Ready, wanted: PipelineRunRequest) -> JsonAnswer:
    """Run a notebook's pipeline, in a process of its own; answers with the run that it has opened."""
    engine.check_taking()
    if wanted.path is None:
        raise UsageError("say which notebook is to run: the path of its file")
    return await _launched(engine, ["run", *wanted.arguments()])


@router.post("/v1/runs/{run}/resume")
async def resume(engine: Ready, run: int, wanted: ResumeRequest) -> JsonAnswer:
    """Go on where a failed, cancelled or lost run has stopped, in a new run; answers with that."""
    engine.check_taking()
    path = [wanted.path] if wanted.path is not None else []
    return await _launched(engine, ["resume", str(run), *path, *wanted.arguments()])


async def _launched(engine: Ready, arguments: list[str]) -> JsonAnswer:
    number = await launch(engine.settings, arguments)
    found = await engine.runner.journal.read(lambda records: records.run(number))
    return JsonAnswer(found.to_dict())


@router.post("/v1/runs/{run}/reuse")
async def reuse(engine: Ready, run: int, wanted: ReuseRequest) -> JsonAnswer:
    """Record steps of an open run as taken from earlier results; answers with what they have left and shown. A step
    whose result is there no more is left out."""
    found = []
    for each in wanted.steps:
        request = StepRequest.from_dict({**each, "run": run})
        result = await engine.runner.reuser.take(request, int(each["result"]), os.urandom(16).hex())
        if result is not None:
            found.append({"name": request.name, **result})
    return JsonAnswer({"steps": found})


@router.post("/v1/runs/{run}/cells")
async def keep(engine: Ready, run: int, wanted: list[CellResult]) -> JsonAnswer:
    """Keep what cells have shown, for the next run of the same notebook."""
    found = await engine.runner.journal.read(lambda records: records.run(run))
    facts = [each.model_dump() for each in wanted]
    await engine.runner.reuser.keep_cells(found, facts)
    return JsonAnswer({})


@router.get("/v1/references")
async def references(engine: Ready) -> JsonAnswer:
    """Every object of the store that the records speak of, with the time of the newest run that does."""
    return JsonAnswer({"references": await engine.runner.journal.read(lambda records: records.references())})


@router.post("/v1/references/forget")
async def forget(engine: Ready, wanted: list[str]) -> JsonAnswer:
    """Results that need these objects may not be taken any more."""
    count = await engine.runner.journal.write(lambda records: records.forget_results(wanted))
    return JsonAnswer({"results": count})


def _pipeline(wanted: NotebookRequest) -> dict[str, Any]:
    # Imported when first asked for: most engines never are.
    from cellyard.notebook import parameter_values, pipeline_of

    notebook, _ = _notebook(wanted)
    found = pipeline_of(notebook)
    if wanted.parameters:
        found = pipeline_of(notebook, parameter_values(found.parameters, wanted.parameters))
    return found.to_dict()


def _prepared(wanted: PlanRequest) -> Any:
    from cellyard.execution.plan import Wanted
    from cellyard.service.planning import prepare_plan

    notebook, path = _notebook(wanted)
    chosen = Wanted(frozenset(wanted.only), frozenset(wanted.start), wanted.force, wanted.resumes)
    return prepare_plan(notebook, path, wanted.parameters, chosen)


def _notebook(wanted: NotebookRequest) -> tuple[Any, Path]:
    """The notebook and where it is. One that was sent along may have a path, too: what is beside it counts."""
    from cellyard.notebook import notebook_of, read_notebook

    if wanted.path is None and wanted.notebook is None:
        raise UsageError("say which notebook: its path or the notebook itself")
    path = Path(wanted.path or "notebook.ipynb").absolute()
    return (read_notebook(path) if wanted.notebook is None else notebook_of(wanted.notebook)), path
