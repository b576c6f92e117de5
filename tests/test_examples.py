"""The examples give the same outputs and values with their %%step lines as without them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from nbformat import NotebookNode

from cellyard.model.step_line import parse_step_line
from tests.house.source_tree import ROOT
from tests.notebooks.execution import Executed, execute, is_step, read, without_steps
from tests.service.engines import Home, engine_home

EXAMPLES = {"digits": (8, 3), "orders": (6, 2)}
"""How many steps each has at least, and of how many sizes."""
SMALLEST_MACHINE = {"CELLYARD_CPU": "2", "CELLYARD_MEMORY": "8GiB"}


@dataclass(frozen=True)
class Both:
    """One example run both ways."""

    notebook: NotebookNode
    plain: Executed
    steps: Executed
    home: Home


# The first test of each example waits for both of its runs.
pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="module", params=sorted(EXAMPLES))
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    # A new machine's first figure makes a cache of fonts, and says so after a while: not in the cell's output.
    subprocess.run([sys.executable, "-c", "import matplotlib.font_manager"], check=True, timeout=100)
    notebook = read(ROOT / f"examples/{request.param}.ipynb")
    with engine_home(**SMALLEST_MACHINE) as home:
        folders = [tmp_path_factory.mktemp(f"{request.param}-{way}") for way in ("plain", "steps")]
        plain = execute(without_steps(notebook), folders[0], home.env)
        steps = execute(notebook, folders[1], home.env)
        yield Both(notebook, plain, steps, home)


def test_every_cell_shows_the_same(both: Both) -> None:
    assert both.steps.outputs.keys() == both.plain.outputs.keys()
    for cell, shown in both.plain.outputs.items():
        assert both.steps.outputs[cell] == shown, cell


def test_every_name_has_the_same_value(both: Both) -> None:
    assert both.steps.values.keys() == both.plain.values.keys()
    for name, value in both.plain.values.items():
        assert both.steps.values[name] == value, name


def test_names_share_objects_as_they_did(both: Both) -> None:
    assert both.steps.sharing == both.plain.sharing


def test_every_step_ran_in_a_process_of_its_own(both: Both) -> None:
    marked = [parse_step_line(cell.source.partition("\n")[0][6:]).name for cell in both.notebook.cells if is_step(cell)]
    client = both.home.client()
    ran = [step for run in reversed(client.runs(limit=100)) for step in client.steps(run["id"])]
    assert [step["name"] for step in ran] == marked
    assert {step["state"] for step in ran} == {"succeeded"}
    pids = [step["pid"] for step in ran]
    assert len(set(pids)) == len(pids)
    assert both.steps.pid not in pids


@pytest.mark.parametrize("name", sorted(EXAMPLES))
def test_an_example_asks_for_several_sizes_that_fit_a_small_machine(name: str) -> None:
    lines = [cell.source.partition("\n")[0] for cell in read(ROOT / f"examples/{name}.ipynb").cells if is_step(cell)]
    sizes = [parse_step_line(line.removeprefix("%%step")).resources for line in lines]
    steps, different = EXAMPLES[name]
    assert len(sizes) >= steps
    assert len(set(sizes)) >= different
    assert all(size.cpu <= 2 and (size.memory or 0) <= 8 * 2**30 and not size.gpu for size in sizes)


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_an_example_is_kept_without_outputs(path: Path) -> None:
    cells = [cell for cell in read(path).cells if cell.cell_type == "code"]
    assert not [cell.id for cell in cells if cell.outputs or cell.execution_count]
    assert path.stem in EXAMPLES
