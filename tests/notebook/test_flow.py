"""Flow: whatever order steps end in, and whatever they turn out to have done, the values are those of top to bottom."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from cellyard.notebook.building import graph_of
from cellyard.notebook.flow import Flow, Made
from tests.notebook.cells import notebook

CELLS = (
    "a = [{n}]",
    "b = a + [{n}]",
    "hidden(a, {n})",
    "hidden(b, {n})",
    "c = a\nd = b",
    "c.append({n})",
    "a = [len(b)]",
    "if len(a) > 2:\n    b = [{n}]",
    "d = [*a, *b, *c]",
    "hidden(c, {n})",
)
"""``hidden`` changes what it is given, and nothing in the code says so."""
FIRST = "%%step s0\na = [0]\nb = [1]\nc = a\nd = []"


def hidden(values: list[int], number: int) -> None:
    values.append(number)


def run(source: str, names: dict[str, Any]) -> None:
    exec(source, {"hidden": hidden}, names)


class World:
    """Steps run here on copies of what they are given, as in processes of their own; names that share an object stay
    together."""

    def __init__(self, flow: Flow) -> None:
        self.flow = flow
        self._values: dict[str, dict[str, Any]] = {}
        self._given: dict[str, dict[str, Any]] = {}
        self._count = 0

    def begin(self, name: str) -> None:
        given: dict[str, Any] = {}
        for reference in self.flow.inputs(name):
            values = copy.deepcopy(self._values[reference["id"]])
            given |= {bound: values[bound] for bound in reference["bind"]}
        self._given[name] = given
        self.flow.begin(name)

    def end(self, name: str) -> list[str]:
        before, names = self._given[name], copy.deepcopy(self._given[name])
        run(self.flow.steps[name].source, names)
        changed = {each for each, value in names.items() if each not in before or before[each] != value}
        outputs = []
        while changed:
            value = names[min(changed)]
            group = {each: names[each] for each in names if names[each] is value}
            self._count += 1
            self._values[str(self._count)] = group
            outputs.append({"id": str(self._count), "names": sorted(group)})
            changed -= group.keys()
        return self.flow.end(name, Made.of({"outputs": outputs, "deleted": []}))

    def final(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for reference in self.flow.visible(10_000):
            found |= {bound: self._values[reference["id"]][bound] for bound in reference["bind"]}
        return found


@settings(max_examples=200, deadline=None)
@given(st.lists(st.integers(0, len(CELLS) - 1), min_size=1, max_size=8), st.data())
def test_the_values_are_those_of_a_run_from_top_to_bottom(chosen: list[int], data: st.DataObject):
    bodies = [CELLS[each].format(n=number) for number, each in enumerate(chosen, 2)]
    cells = ["from lib import hidden", FIRST, *(f"%%step s{number}\n{body}" for number, body in enumerate(bodies, 1))]
    world = World(Flow(graph_of(notebook(*cells))))
    running: list[str] = []
    while not world.flow.is_complete:
        ready = world.flow.ready()
        if ready and (not running or data.draw(st.booleans())):
            name = data.draw(st.sampled_from(ready))
            world.begin(name)
            running.append(name)
            continue
        name = running.pop(data.draw(st.integers(0, len(running) - 1)))
        again = world.end(name)
        running = [each for each in running if each not in again]
    expected: dict[str, Any] = {}
    for cell in cells[1:]:
        run(cell.partition("\n")[2], expected)
    assert world.final() == expected


def test_steps_that_need_nothing_of_each_other_are_ready_together():
    flow = Flow(graph_of(notebook("%%step a\nx = 1", "%%step b\ny = x", "%%step c\nz = x", "%%step d\ny + z")))
    assert flow.ready() == ["a"]
    flow.begin("a")
    assert flow.ready() == []
    flow.end("a", Made.of({"outputs": [{"id": "1", "names": ["x"]}], "deleted": []}))
    assert flow.ready() == ["b", "c"]


def test_a_step_that_drew_random_numbers_too_early_begins_again():
    state = {"sections": ["random"], "kept": "x"}
    flow = Flow(
        graph_of(notebook("import random, lib\nrandom.seed(1)", "%%step a\nx = lib.f()", "%%step b\ny = lib.f()"))
    )
    for name in ("a", "b"):
        flow.begin(name)
    assert flow.end("b", Made.of({"outputs": [], "deleted": [], "process_state": state})) == []
    assert flow.end("a", Made.of({"outputs": [], "deleted": [], "process_state": state})) == ["b"]
    assert flow.ready() == ["b"]
