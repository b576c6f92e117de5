"""Pipeline: the steps of a notebook, what each needs of which other, and everything that is wrong with that. Pure.

A name that is assigned again has versions in the notebook's order: ``df``, then ``df@2``. An edge carries the versions
that go from one step to another; one without names only says which comes first, and ``why``.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

from cellyard.model.plain import Plain
from cellyard.model.resources import Resources
from cellyard.model.step_line import StepLine

__all__ = ["Edge", "Parameter", "Pipeline", "PipelineStep", "Problem", "base_name", "versioned"]


def versioned(name: str, version: int) -> str:
    """How a version of a name is written: the first as the name itself."""
    return name if version == 1 else f"{name}@{version}"


def base_name(versioned_name: str) -> str:
    """The name of which this is a version."""
    return versioned_name.partition("@")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class PipelineStep(Plain):
    """One step. ``cell`` is its index among all cells, ``line`` its %%step line with ``{x}`` expanded, ``source`` the
    code below that. ``marked`` False: a plain cell that runs as a step of default size, because steps need what it
    makes. ``reads`` and ``writes`` are names of other cells and of the code that comes before all steps, without
    versions; ``makes`` are the versions that it makes. ``preamble``: those of its reads, and of what these need, that
    preamble cells define."""

    name: str
    cell: int
    cell_id: str | None
    source: str
    line: str = ""
    raw_line: str = ""
    options: StepLine = field(default_factory=StepLine)
    marked: bool = True
    reads: tuple[str, ...] = ()
    writes: tuple[str, ...] = ()
    deletes: tuple[str, ...] = ()
    makes: tuple[str, ...] = ()
    preamble: tuple[str, ...] = ()

    @property
    def resources(self) -> Resources:
        """What it asks for."""
        return self.options.resources

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON, with ``resources``."""
        lists = {key: list(getattr(self, key)) for key in _LISTS}
        return self._fields() | lists | {"options": self.options.to_dict(), "resources": self.resources.to_dict()}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PipelineStep:
        """The step that :meth:`to_dict` wrote; what is missing has its default."""
        known = cls._known(data)
        known |= {key: tuple(data.get(key) or ()) for key in _LISTS}
        known["options"] = StepLine.from_dict(data.get("options") or {})
        return cls(**{"cell_id": None, **known})


_LISTS = ("reads", "writes", "deletes", "makes", "preamble")


@dataclass(frozen=True, slots=True)
class Edge:
    """``target`` comes after ``source``, and takes these versions of names from it. ``why``: "values", or what else
    asks for the order ("--after", "random state", "process state")."""

    source: str
    target: str
    names: tuple[str, ...] = ()
    why: str = "values"

    def to_dict(self) -> dict[str, Any]:
        """``{"from", "to", "names", "why"}``."""
        return {"from": self.source, "to": self.target, "names": list(self.names), "why": self.why}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Edge:
        """The edge that :meth:`to_dict` wrote."""
        return cls(data["from"], data["to"], tuple(data.get("names") or ()), data.get("why", "values"))


@dataclass(frozen=True, slots=True)
class Parameter(Plain):
    """A parameter of the notebook: ``type`` is int, float, bool, str, list, dict, None or "expression" (a default that
    is no literal), ``default`` the default as Python writes it."""

    name: str
    type: str
    default: str
    cell: int


@dataclass(frozen=True, slots=True)
class Problem(Plain):
    """What is wrong, with the cell's index and the line in it (from 1). An "error" keeps the pipeline from running."""

    cell: int
    line: int
    message: str
    hint: str = ""
    level: str = "error"

    def __str__(self) -> str:
        return f"cell {self.cell + 1}, line {self.line}: {self.message}" + (f" {self.hint}" if self.hint else "")


@dataclass(frozen=True, slots=True)
class Pipeline:
    """Steps in the notebook's order, their edges, the parameters. ``preamble`` are the indexes of the cells that run
    before all steps (imports, definitions, constants), ``shown`` those of plain cells that no step needs."""

    steps: tuple[PipelineStep, ...] = ()
    edges: tuple[Edge, ...] = ()
    parameters: tuple[Parameter, ...] = ()
    problems: tuple[Problem, ...] = ()
    preamble: tuple[int, ...] = ()
    shown: tuple[int, ...] = ()

    @property
    def errors(self) -> tuple[Problem, ...]:
        """The problems that keep it from running."""
        return tuple(each for each in self.problems if each.level == "error")

    def step(self, name: str) -> PipelineStep | None:
        """The step of that name."""
        return next((step for step in self.steps if step.name == name), None)

    def before(self) -> dict[str, tuple[str, ...]]:
        """For each step those that it directly comes after."""
        found: dict[str, list[str]] = {step.name: [] for step in self.steps}
        for edge in self.edges:
            if edge.target in found and edge.source in found and edge.source not in found[edge.target]:
                found[edge.target].append(edge.source)
        return {name: tuple(sources) for name, sources in found.items()}

    def order(self) -> tuple[str, ...]:
        """All steps, each after those that it needs, else as in the notebook. Steps of a cycle, and what follows from
        them, are left out."""
        before = self.before()
        place = {step.name: index for index, step in enumerate(self.steps)}
        waiting = {name: len(sources) for name, sources in before.items()}
        after = _reversed(before)
        ready = [place[name] for name, count in waiting.items() if not count]
        heapq.heapify(ready)
        found: list[str] = []
        while ready:
            name = self.steps[heapq.heappop(ready)].name
            found.append(name)
            for each in after[name]:
                waiting[each] -= 1
                if not waiting[each]:
                    heapq.heappush(ready, place[each])
        return tuple(found)

    def ancestors(self, names: Iterable[str]) -> frozenset[str]:
        """Everything that these steps need, directly or not."""
        return _closure(names, self.before())

    def descendants(self, names: Iterable[str]) -> frozenset[str]:
        """Everything that needs one of these steps, directly or not."""
        return _closure(names, _reversed(self.before()))

    def checked(self) -> Pipeline:
        """The same, with what its graph alone shows to be wrong among its problems: cycles, edges of unknown steps, and
        names that a step gets from two others with no order between them."""
        return replace(self, problems=_unique([*self.problems, *self._wrong()]))

    def _wrong(self) -> list[Problem]:
        known = {step.name: step for step in self.steps}
        found = [
            Problem(known[edge.target].cell, 1, f"step {edge.target} comes after {edge.source}, which does not exist.")
            for edge in self.edges
            if edge.source not in known and edge.target in known
        ]
        if len(self.order()) < len(self.steps):
            return [*found, *self._cycle(known)]
        return [*found, *self._ambiguous(known)]

    def _cycle(self, known: Mapping[str, PipelineStep]) -> list[Problem]:
        before = self.before()
        left = set(known) - set(self.order())
        while dead := {name for name in left if not any(name in before[other] for other in left)}:
            left -= dead
        start = min(left, key=lambda name: known[name].cell)
        path = [start]
        while (following := next(name for name in before[path[-1]] if name in left)) not in path:
            path.append(following)
        circle = path[path.index(following) :][::-1]
        first = min(range(len(circle)), key=lambda place: known[circle[place]].cell)
        circle = circle[first:] + circle[:first]
        ring = " -> ".join([*circle, circle[0]])
        step = known[circle[0]]
        hint = "Take one of their --after options away." if any(edge.why == "--after" for edge in self.edges) else ""
        return [Problem(step.cell, 1, f"these steps wait for each other: {ring}.", hint)]

    def _ambiguous(self, known: Mapping[str, PipelineStep]) -> list[Problem]:
        found: list[Problem] = []
        sources: dict[tuple[str, str], list[str]] = {}
        for edge in self.edges:
            for name in edge.names:
                sources.setdefault((edge.target, base_name(name)), []).append(edge.source)
        for (target, name), makers in sources.items():
            for one, other in pairwise(makers):
                if one != other and one not in self.ancestors([other]) and other not in self.ancestors([one]):
                    message = f"step {target} gets {name!r} from {one} and from {other}, with no order between them."
                    found.append(Problem(known[target].cell, 1, message, f"Say --after {one} in step {other}."))
        return found

    def to_dict(self) -> dict[str, Any]:
        """The pipeline as JSON."""
        return {
            "steps": [step.to_dict() for step in self.steps],
            "edges": [edge.to_dict() for edge in self.edges],
            "parameters": [each.to_dict() for each in self.parameters],
            "problems": [each.to_dict() for each in self.problems],
            "preamble": list(self.preamble),
            "shown": list(self.shown),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Pipeline:
        """The pipeline that :meth:`to_dict` wrote."""
        return cls(
            tuple(PipelineStep.from_dict(each) for each in data.get("steps") or ()),
            tuple(Edge.from_dict(each) for each in data.get("edges") or ()),
            tuple(Parameter.from_dict(each) for each in data.get("parameters") or ()),
            tuple(Problem.from_dict(each) for each in data.get("problems") or ()),
            tuple(data.get("preamble") or ()),
            tuple(data.get("shown") or ()),
        )


def _reversed(graph: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {name: [] for name in graph}
    for name, others in graph.items():
        for other in others:
            found[other].append(name)
    return found


def _closure(names: Iterable[str], graph: Mapping[str, Sequence[str]]) -> frozenset[str]:
    found: set[str] = set()
    pending = list(names)
    while pending:
        for name in graph.get(pending.pop(), ()):
            if name not in found:
                found.add(name)
                pending.append(name)
    return frozenset(found)


def _unique(problems: Iterable[Problem]) -> tuple[Problem, ...]:
    return tuple(dict.fromkeys(problems))
