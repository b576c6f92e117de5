"""From the cells of a notebook to its pipeline: which are steps, which versions of names go where. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cellyard.analysis import hazards, nearest_name
from cellyard.analysis.purity import BUILTINS
from cellyard.model.pipeline import Edge, Parameter, Pipeline, PipelineStep, Problem, versioned
from cellyard.model.step_line import name_of_code
from cellyard.notebook.nodes import Node, nodes_of
from cellyard.notebook.parameters import parameters_of
from cellyard.notebook.reading import Notebook
from cellyard.notebook.roles import CellReading, read_cells

__all__ = ["Graph", "cell_name", "graph_of", "pipeline_of"]

_READABLE_ID = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
_MAY_BE_HAZARD = re.compile(
    r"input|getpass|breakpoint|set_trace|interact|Comm|comm|exit|quit|signal|kernel|^\s*%(?:matplotlib|gui|debug|pdb)",
    re.M,
)
_RANDOM_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){0,3}(-?[0-9a-f]{12})?")


@dataclass(frozen=True, slots=True)
class Graph:
    """All cells of a notebook as nodes, in order, and its pipeline. ``names`` are those of the nodes that are steps, by
    cell. ``sources``: for each cell that is a step or only shows something, for each name that it reads, who may have
    made it, the latest first (steps, and cells as :func:`cell_name` calls them). ``random``: for each cell that uses
    the random state of the process, the step that used it before, or "" for none. ``state``: for each cell after a step
    that changes any other of the process state, the last of these steps."""

    nodes: tuple[Node, ...]
    pipeline: Pipeline
    names: Mapping[int, str] = field(default_factory=dict)
    sources: Mapping[int, Mapping[str, tuple[str, ...]]] = field(default_factory=dict)
    random: Mapping[int, str] = field(default_factory=dict)
    state: Mapping[int, str] = field(default_factory=dict)


def cell_name(cell: int) -> str:
    """What a cell that is no step is called beside steps."""
    return f"cell {cell + 1}"


def pipeline_of(notebook: Notebook, values: Mapping[str, Any] | None = None) -> Pipeline:
    """The notebook's pipeline, with everything that is wrong among its problems. ``values``: those of parameters, where
    they are not the defaults."""
    return graph_of(notebook, values).pipeline


def graph_of(notebook: Notebook, values: Mapping[str, Any] | None = None) -> Graph:
    """The same, with the nodes that it was made from."""
    readings, modules = read_cells(notebook, values)
    nodes = nodes_of(readings, modules)
    included = _included(nodes)
    names, problems = _named(nodes, included)
    builder = _Builder(nodes, included, names)
    builder.build()
    parameters: dict[str, Parameter] = {}
    for each in readings:
        if each.role == "parameters":
            parameters |= {found.name: found for found in parameters_of(each.cell.index, each.tree)}
    problems += [each.problem for each in readings if each.problem is not None]
    problems += builder.problems
    for node in nodes:
        problems += _hazards(node)
    pipeline = Pipeline(
        tuple(builder.steps),
        tuple(builder.edges),
        tuple(parameters.values()),
        tuple(sorted(problems, key=lambda each: (each.cell, each.line))),
        tuple(node.cell for node in nodes if node.role in {"preamble", "parameters"}),
        tuple(node.cell for node in nodes if node.role == "plain" and node.cell not in included),
    )
    return Graph(nodes, pipeline.checked(), names, builder.sources, builder.random, builder.state)


def _hazards(node: Node) -> Iterator[Problem]:
    reading = node.reading
    if node.role == "step" and _MAY_BE_HAZARD.search(reading.body):
        for each in hazards(reading.body):
            line = each.line + reading.offset
            yield Problem(node.cell, line, f"this {each.reason}.", level="warning")


# -- which plain cells are steps


def _included(nodes: Sequence[Node]) -> frozenset[int]:
    """The cells that are steps: the marked ones, and the plain ones that make what steps need."""
    wanted: set[str] = set()
    random = any_step = False
    found: set[int] = set()
    for node in reversed(nodes):
        if node.role in {"preamble", "parameters"}:
            wanted -= node.writes
            continue
        needed = bool(node.makes & wanted) or bool(node.reading.facts.deletes & wanted)
        needed = needed or (node.random and random) or (node.state and any_step)
        if node.role == "step" or needed:
            found.add(node.cell)
            any_step = True
            random = random or node.random
            wanted = (wanted - (node.sure - node.reads)) | node.reads
    return frozenset(found)


def _named(nodes: Sequence[Node], included: frozenset[int]) -> tuple[dict[int, str], list[Problem]]:
    """A name for each step; one that a step above it has gets a number, and a warning."""
    taken: dict[str, int] = {}
    found: dict[int, str] = {}
    problems: list[Problem] = []
    for node in sorted(nodes, key=lambda each: each.role != "step"):
        if node.cell not in included:
            continue
        wanted = name = _name(node)
        while name in taken:
            taken[wanted] += 1
            name = f"{wanted}-{taken[wanted]}"
        taken[name] = 1
        found[node.cell] = name
        if name != wanted and node.role == "step":
            message = f"another step above is called {wanted}, too; this one is {name}."
            problems.append(Problem(node.cell, 1, message, "Give it a name of its own.", "warning"))
    return found, problems


def _name(node: Node) -> str:
    reading = node.reading
    if node.role == "step":
        return reading.options.name or name_of_code(reading.body)
    id = reading.cell.id or ""
    if _READABLE_ID.fullmatch(id) and not _RANDOM_ID.fullmatch(id):
        return id
    made = [name for name in _in_order(reading) if not name.startswith("_")]
    return f"make-{made[0]}" if made else f"cell-{node.cell + 1}"


def _in_order(reading: CellReading) -> list[str]:
    """The names that a cell binds, the surest first."""
    return sorted(reading.sure) or sorted(reading.facts.writes)


# -- steps and edges


@dataclass(slots=True)
class _Maker:
    """One version of a name: who makes it, whether surely, and its number; ``step`` None: a preamble cell."""

    step: str | None
    cell: int
    is_sure: bool
    version: str


class _Builder:
    def __init__(self, nodes: Sequence[Node], included: frozenset[int], names: Mapping[int, str]) -> None:
        self.steps: list[PipelineStep] = []
        self.edges: list[Edge] = []
        self.problems: list[Problem] = []
        self._nodes = nodes
        self._included = included
        self._names = names
        self._makers: dict[str, list[_Maker]] = {}
        self._versions: dict[str, int] = {}
        self._bound: set[str] = set()
        self._is_open = False
        self._last_random: str | None = None
        self._last_state: str | None = None
        self.sources: dict[int, dict[str, tuple[str, ...]]] = {}
        self.random: dict[int, str] = {}
        self.state: dict[int, str] = {}
        self._shown: dict[str, list[_Maker]] = {}

    def build(self) -> None:
        """Go through the cells in order."""
        for node in self._nodes:
            self._check_names(node)
            if self._last_state is not None:
                self.state[node.cell] = self._last_state
            if node.cell in self._included:
                self._add_step(node)
            elif node.role in {"preamble", "parameters"}:
                if node.random:
                    self._last_random = None
                self._add_makers(node, None)
            else:
                self._add_shown(node)
            self._bound |= node.makes
            self._is_open = self._is_open or node.reading.facts.uses_dynamic or bool(node.reading.facts.star_imports)

    def _check_names(self, node: Node) -> None:
        facts, reading = node.reading.facts, node.reading
        if self._is_open or facts.star_imports:
            return
        for name in sorted(facts.required - self._bound - BUILTINS):
            later = next((other for other in self._nodes if other.cell > node.cell and name in other.writes), None)
            if later is not None:
                hint = f"Cell {later.cell + 1} makes it, below this one: a pipeline runs from top to bottom."
            else:
                nearest = nearest_name(name, sorted(self._bound))
                hint = f"Did you mean {nearest!r}?" if nearest else ""
            line = facts.reads_at.get(name, 1) + reading.offset
            self.problems.append(Problem(node.cell, line, f"nobody makes {name!r}, which is read here.", hint))

    def _add_step(self, node: Node) -> None:
        name, reading = self._names[node.cell], node.reading
        taken: dict[str, list[str]] = {}
        preamble: set[str] = set()
        for read in sorted(node.reads):
            for maker in self._found(read):
                if maker.step is None:
                    preamble.add(read)
                else:
                    taken.setdefault(maker.step, []).append(maker.version)
        self.sources[node.cell] = self._sources(node, self._makers)
        self.edges += [Edge(source, name, tuple(versions)) for source, versions in taken.items()]
        self._order(node, name, taken)
        makes = self._add_makers(node, name)
        self.steps.append(
            PipelineStep(
                name=name,
                cell=node.cell,
                cell_id=reading.cell.id,
                source=reading.body,
                line=reading.line,
                raw_line=reading.raw_line,
                options=reading.options,
                marked=node.role == "step",
                reads=tuple(sorted(each for each in node.reads if each in self._makers)),
                writes=tuple(sorted(node.makes)),
                deletes=tuple(sorted(reading.facts.deletes - node.sure)),
                makes=tuple(makes),
                preamble=tuple(sorted(preamble)),
            )
        )

    def _add_shown(self, node: Node) -> None:
        """A cell that no step needs: what it makes is there for others of its kind."""
        known = {name: [*self._makers.get(name, ()), *self._shown.get(name, ())] for name in node.reads}
        ordered = {name: sorted(makers, key=lambda each: each.cell) for name, makers in known.items()}
        self.sources[node.cell] = self._sources(node, ordered)
        if node.random:
            self.random[node.cell] = self._last_random or ""
        for name in node.makes:
            maker = _Maker(cell_name(node.cell), node.cell, name in node.sure, name)
            self._shown.setdefault(name, []).append(maker)

    def _sources(self, node: Node, makers: Mapping[str, Sequence[_Maker]]) -> dict[str, tuple[str, ...]]:
        found: dict[str, tuple[str, ...]] = {}
        for name in sorted(node.reads):
            steps: list[str] = []
            for maker in reversed(makers.get(name, ())):
                if maker.step is None:
                    break
                steps.append(maker.step)
                if maker.is_sure:
                    break
            if steps:
                found[name] = tuple(steps)
        return found

    def _found(self, name: str) -> Iterator[_Maker]:
        """Who may have made the name's value, the latest first, to the first that surely has."""
        for maker in reversed(self._makers.get(name, [])):
            yield maker
            if maker.is_sure:
                return

    def _order(self, node: Node, name: str, taken: Mapping[str, Sequence[str]]) -> None:
        for each in node.reading.options.after:
            self.edges.append(Edge(each, name, (), "--after"))
        if node.random:
            self.random[node.cell] = self._last_random or ""
            if self._last_random not in {None, *taken}:
                self.edges.append(Edge(str(self._last_random), name, (), "random state"))
            self._last_random = name
        if self._last_state not in {None, *taken}:
            self.edges.append(Edge(str(self._last_state), name, (), "process state"))
        if node.state:
            self._last_state = name

    def _add_makers(self, node: Node, step: str | None) -> list[str]:
        made: list[str] = []
        for name in sorted(node.makes):
            number = self._versions[name] = self._versions.get(name, 0) + 1
            made.append(versioned(name, number))
            self._makers.setdefault(name, []).append(_Maker(step, node.cell, name in node.sure, made[-1]))
        return made
