"""Cells drawn at random do the same plainly and as steps: values, types, identities, output and errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, event, given, settings

from tests.contracts.cells import NAMES, PRELUDE, Cell, notebooks
from tests.house.source_tree import ROOT
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import engine_home

# The grammar is one large strategy, which hypothesis writes out for its own notes.
pytestmark = pytest.mark.filterwarnings("ignore:Generating overly large repr")
LIKENESS = f"tests.notebooks.likeness.likeness(globals(), {NAMES!r})"
RESET = f"for _name in {NAMES!r}: globals().pop(_name, None)\n" + PRELUDE
ADDRESS = re.compile(r"at 0x[0-9a-f]+")


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[Kernel, Kernel]]:
    """One kernel for plain cells, one for steps."""
    with engine_home() as home, kernel_at(home.env, load=False) as plain, kernel_at(home.env) as marked:
        for kernel in (plain, marked):
            kernel.run(f"import sys\nsys.path.insert(0, {str(ROOT)!r})\nimport tests.notebooks.likeness")
        yield plain, marked


def outcome(kernel: Kernel, source: str) -> dict[str, Any]:
    """What one cell showed, how it ended, and what the names then were."""
    ran = kernel.try_run(source)
    error = (ran.error["ename"], ran.error["evalue"]) if ran.error else None
    shown = [ADDRESS.sub("at 0x", each["data"]["text/plain"]) for each in ran.results]
    return {"stdout": ran.stdout, "results": shown, "error": error, "names": kernel.look(LIKENESS)}


def compare(kernels: tuple[Kernel, Kernel], cells: Sequence[Cell]) -> None:
    plain, marked = kernels
    for kernel in kernels:
        kernel.run(RESET)
    for each in cells:
        expected = outcome(plain, each.source)
        event(expected["error"][0] if expected["error"] else "succeeds")
        found = outcome(marked, ("%%step\n" if each.is_step else "") + each.source)
        if found["error"] and found["error"][0] == "UnknownName":
            # Told before the cell runs, which so does nothing of what it would have done before it met the name.
            assert expected["error"], f"refused for nothing:\n{each.source}"
            return
        differing = [key for key in expected if found[key] != expected[key]]
        differing += [name for name in NAMES if found["names"].get(name) != expected["names"].get(name)]
        assert found == expected, f"{differing} after\n{each.source}"


@pytest.mark.timeout(600)  # a busy machine is no failure
@settings(max_examples=50, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None)
@given(notebooks())
def test_a_notebook_means_the_same_with_its_steps_marked(kernels, cells):
    compare(kernels, cells)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", range(10))  # hypothesis keeps megabytes of notes on every example of one test
@settings(max_examples=300, deadline=None, derandomize=False, suppress_health_check=list(HealthCheck))
@given(cells=notebooks())
def test_many_more_notebooks_mean_the_same(kernels, part, cells):
    compare(kernels, cells)
