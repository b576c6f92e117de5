"""Plans of random notebooks and edits: a result is taken when nothing that matters has changed, and only then."""

from __future__ import annotations

import gc
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cellyard.execution.plan import PlanStep, Wanted
from cellyard.model.cache_key import key_of
from cellyard.notebook import notebook_of
from cellyard.records import CachedResult
from cellyard.service.planning import prepare_plan
from tests.notebook.cells import document

PATH = Path("/nowhere/n.ipynb")


class Results:
    """Results by key, as the records have them."""

    def __init__(self) -> None:
        self._found: list[CachedResult] = []

    def cached(self, key: str) -> CachedResult | None:
        return next((each for each in reversed(self._found) if each.key == key), None)

    def cached_by_name(self, notebook: str) -> dict[str, CachedResult]:
        return {each.name: each for each in self._found}

    def keep(self, name: str, parts: dict[str, Any], outputs: dict[str, str]) -> None:
        content = {"outputs": [{"id": id, "names": [made]} for made, id in outputs.items()]}
        self._found.append(
            CachedResult(
                key=key_of(parts), run_id=1, step_id=1, notebook=str(PATH), name=name, created=0.0, parts=parts,
                content=content, id=len(self._found) + 1,
            )
        )  # fmt: skip


@dataclass(frozen=True)
class Step:
    """A step that adds up the names of others and calls a function."""

    reads: tuple[int, ...]
    function: int
    constant: int
    words: str = ""

    def cell(self, index: int) -> str:
        terms = [f"f{self.function}({self.constant})", *(f"x{each}" for each in self.reads)]
        return f"%%step s{index}\n{self.words}\nx{index} = {' + '.join(terms)}"


@dataclass(frozen=True)
class Program:
    """A notebook: three functions, each of which calls the one before it and uses a constant of its own, and steps."""

    constants: tuple[int, int, int]
    bodies: tuple[int, int, int]
    steps: tuple[Step, ...]

    def cells(self) -> list[str]:
        found = [f"C{number} = {constant}" for number, constant in enumerate(self.constants)]
        for number, body in enumerate(self.bodies):
            inner = f"f{number - 1}(v)" if number else "v"
            found.append(f"def f{number}(v):\n    # words\n    return {inner} + C{number} + {body}")
        return [*found, *(step.cell(index) for index, step in enumerate(self.steps))]

    def meaning(self, index: int) -> Any:
        """All that the result of a step depends on, but for its inputs."""
        step = self.steps[index]
        reached = step.function + 1
        return step.reads, step.function, step.constant, self.constants[:reached], self.bodies[:reached]

    def values(self) -> list[int]:
        names: dict[str, Any] = {}
        for cell in self.cells():
            exec(cell.partition("\n")[2] if cell.startswith("%%step") else cell, names)
        return [names[f"x{index}"] for index in range(len(self.steps))]


@st.composite
def programs(draw: st.DrawFn) -> Program:
    digits = st.integers(0, 3)
    steps = []
    for index in range(draw(st.integers(1, 7))):
        reads = draw(st.sets(st.integers(0, index - 1), max_size=3)) if index else set()
        steps.append(Step(tuple(sorted(reads)), draw(st.integers(0, 2)), draw(digits)))
    three = st.tuples(digits, digits, digits)
    return Program(draw(three), draw(three), tuple(steps))


@st.composite
def edits(draw: st.DrawFn, program: Program) -> Program:
    """The program with something changed, or only its words."""
    what = draw(st.sampled_from(("nothing", "words", "constant", "function", "step")))
    index = draw(st.integers(0, len(program.steps) - 1))
    steps, place = list(program.steps), draw(st.integers(0, 2))
    if what == "words":
        steps[index] = replace(steps[index], words="# other words\n")
    elif what == "step":
        steps[index] = replace(steps[index], constant=steps[index].constant + 1)
    bodies, constants = list(program.bodies), list(program.constants)
    bodies[place] += what == "function"
    constants[place] += what == "constant"
    return Program(tuple(constants), tuple(bodies), tuple(steps))  # type: ignore[arg-type]


def plan(program: Program, results: Results, wanted: Wanted | None = None) -> dict[str, PlanStep]:
    prepared = prepare_plan(notebook_of(document(*program.cells())), PATH, {}, wanted or Wanted())
    return {each.name: each for each in prepared(results).plan if each.is_step}  # type: ignore[arg-type]


def carry_out(program: Program, results: Results) -> set[str]:
    """Run what is planned to run, as a run does: with what has been made on the way. The steps that had to run."""
    values = program.values()
    ran: set[str] = set()
    for index, step in enumerate(program.steps):
        decided = plan(program, results)[f"s{index}"]
        if decided.action == "run":
            ran.add(decided.name)
            parts = {**decided.parts, "inputs": {f"x{each}": str(values[each]) for each in step.reads}}
            results.keep(decided.name, parts, {f"x{index}": str(values[index])})
    return ran


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_result_is_taken_exactly_when_nothing_that_matters_has_changed(data: st.DataObject):
    before = data.draw(programs())
    results = Results()
    assert carry_out(before, results) == {f"s{index}" for index in range(len(before.steps))}
    after = data.draw(edits(before))
    decided = plan(after, results)
    old, new = before.values(), after.values()
    for index, step in enumerate(after.steps):
        fresh = [each for each in step.reads if decided[f"s{each}"].action == "run"]
        same = before.meaning(index) == after.meaning(index) and not fresh
        assert (decided[f"s{index}"].action == "reuse") is same, decided[f"s{index}"].because
        if same:
            assert old[index] == new[index]
        elif fresh:
            assert "which runs" in decided[f"s{index}"].because
        else:
            assert decided[f"s{index}"].changes
    # Carried out, it stops where a value turns out to be what it was.
    ran = carry_out(after, results)
    for index, step in enumerate(after.steps):
        inputs = any(old[each] != new[each] for each in step.reads)
        assert (f"s{index}" in ran) is (before.meaning(index) != after.meaning(index) or inputs)
    assert {each.action for each in plan(after, results).values()} == {"reuse"}


@settings(max_examples=30, deadline=None)
@given(st.data())
def test_what_is_asked_for_runs_and_nothing_else_that_need_not(data: st.DataObject):
    program = data.draw(programs())
    results = Results()
    carry_out(program, results)
    name = f"s{data.draw(st.integers(0, len(program.steps) - 1))}"
    assert {each.action for each in plan(program, results, Wanted(force=True)).values()} == {"run"}
    pipeline = prepare_plan(notebook_of(document(*program.cells())), PATH, {}, Wanted())(results).graph.pipeline  # type: ignore[arg-type]
    again = plan(program, results, Wanted(start=frozenset({name})))
    assert {each.name for each in again.values() if each.action == "run"} == {name} | pipeline.descendants([name])
    only = plan(program, results, Wanted(only=frozenset({name})))
    assert set(only) == {name} | pipeline.ancestors([name])


def seconds_to_plan(steps: int) -> float:
    """Of computing, for a chain of so many steps whose cells have been seen before."""
    cells = ["%%step s0\nx0 = 1", *(f"%%step s{n}\nx{n} = x{n - 1} + {n}\nprint(x{n})" for n in range(1, steps))]
    notebook = notebook_of(document(*cells))
    results = Results()
    took = []
    gc.disable()  # what it takes grows with all that other tests have left in this process
    try:
        for _ in range(3):
            began = time.process_time()
            found = prepare_plan(notebook, PATH, {}, Wanted())(results)  # type: ignore[arg-type]
            took.append(time.process_time() - began)
            assert len(found.plan) == steps
    finally:
        gc.enable()
    return min(took[1:])


def test_planning_takes_time_in_proportion_to_the_steps():
    assert seconds_to_plan(1000) < 60 * seconds_to_plan(100), "for ten times the steps"
