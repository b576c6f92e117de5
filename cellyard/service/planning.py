"""From a notebook to the plan of its run: what its text, its surroundings and the records tell, put together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellyard.errors import NotFound
from cellyard.execution.plan import PlanStep, Task, Wanted, make_plan
from cellyard.notebook import Notebook, parameter_values
from cellyard.notebook.building import Graph, cell_name, graph_of
from cellyard.notebook.meaning import Meaning, meanings
from cellyard.notebook.surroundings import Surroundings

if TYPE_CHECKING:
    from cellyard.records import Records

__all__ = ["Planned", "prepare_plan"]


@dataclass(frozen=True, slots=True)
class Planned:
    """A notebook's pipeline and what is planned for it: steps, and cells that run in the notebook's own kernel."""

    graph: Graph
    tasks: tuple[Task, ...]
    plan: tuple[PlanStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """What faces are shown: the steps, and what is wrong with the notebook."""
        return {
            "steps": [each.to_dict() for each in self.plan if each.is_step],
            "problems": [each.to_dict() for each in self.graph.pipeline.problems],
        }

    def details(self) -> dict[str, Any]:
        """What carrying it out needs, beside that: the pipeline, parts of keys, and what cells have shown."""
        known = {task.name: task for task in self.tasks}
        return self.to_dict() | {
            "pipeline": self.graph.pipeline.to_dict(),
            "parts": {each.name: dict(each.parts) for each in self.plan},
            "reusable": [each.name for each in self.plan if not known[each.name].outside and not _is_forced(each)],
            "cells": [
                each.to_dict() | {"shown": None if each.result is None else each.result.content.get("shown")}
                for each in self.plan
                if not each.is_step
            ],
        }


def _is_forced(each: PlanStep) -> bool:
    return each.because == "forced" or "--from" in each.because


def prepare_plan(
    notebook: Notebook, path: Path, given: Mapping[str, Any], wanted: Wanted
) -> Callable[[Records], Planned]:
    """Read the notebook (slowly: not on an event loop); what is returned asks the records and plans.

    ``path`` is where the notebook is, or would be: modules and files beside it count. Raises UsageError for parameters
    and step names that cannot be meant.
    """
    values: Mapping[str, Any] = {}
    graph = graph_of(notebook)
    if given:
        values = parameter_values(graph.pipeline.parameters, given)
        graph = graph_of(notebook, values)
    for name in sorted(wanted.only | wanted.start):
        if graph.pipeline.step(name) is None:
            names = ", ".join(step.name for step in graph.pipeline.steps) or "none"
            raise NotFound(what=f"step {name!r} in {path.name}", hint=f"There are: {names}.")
    kernel = (notebook.content.get("metadata") or {}).get("kernelspec", {}).get("name", "python3")
    tasks = _tasks(graph, meanings(graph, values), Surroundings(path.parent, kernel))

    def plan(records: Records) -> Planned:
        decided = make_plan(
            tasks,
            wanted,
            records.cached,
            latest=records.cached_by_name(str(path)),
            of_run=records.cached_by_run(wanted.resumes) if wanted.resumes else {},
        )
        return Planned(graph, tuple(tasks), tuple(decided))

    return plan


def _tasks(graph: Graph, found: Mapping[int, Meaning], surroundings: Surroundings) -> list[Task]:
    before = graph.pipeline.before()
    nodes = {node.cell: node for node in graph.nodes}
    cells = {name: cell for cell, name in graph.names.items()}
    tasks: dict[str, Task] = {}
    for cell, node in nodes.items():
        meaning, reading = found[cell], node.reading
        is_step = cell in graph.names
        name = graph.names[cell] if is_step else cell_name(cell)
        options = reading.options
        is_declared = options.cache or bool(options.files)
        tasks[name] = Task(
            name=name,
            source=reading.body,
            parts={**meaning.parts, **surroundings.parts(meaning.modules, options.files)},
            sources=graph.sources.get(cell, {}),
            after=before.get(name, ()),
            random=graph.random.get(cell),
            state=graph.state.get(cell, ""),
            outside="" if is_declared or meaning.outside is None else _outside(*meaning.outside, is_step=is_step),
            is_step=is_step,
        )
    steps = [tasks[name] for name in graph.pipeline.order()]
    shown = [task for name, task in tasks.items() if name not in cells]
    return [*steps, *shown]


def _outside(line: int, what: str, *, is_step: bool) -> str:
    hint = "; name the files with --file, or say --cache" if is_step else ""
    return f"it looks outside the notebook ({what}, line {line}){hint}"
