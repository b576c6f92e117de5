"""Notebooks run as pipelines: the values of a run from top to bottom, side by side, and nothing twice."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.house.source_tree import ROOT
from tests.notebook.cells import document
from tests.notebooks.execution import execute, looked, read, with_look, without_steps
from tests.service.engines import Home, engine_home

pytestmark = pytest.mark.timeout(300)

LOAD = "%load_ext kernel_magics"


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home(CELLYARD_MEMORY="8GiB") as found:
        yield found


def cellyard(home: Home, *arguments: str | Path, code: int = 0) -> str:
    """What a command says, on both streams; it ends with that code."""
    done = subprocess.run(
        [sys.executable, "-m", "cellyard", *map(str, arguments)],
        env=home.process_env | {"COLUMNS": "200"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


def write(path: Path, *cells: str) -> Path:
    path.write_text(json.dumps(document(*cells)))
    return path


def shown(path: Path) -> list[str]:
    """What is under each cell of the executed copy."""
    notebook = nbformat.read(path.with_name(f"{path.stem}.executed.ipynb"), as_version=4)
    nbformat.validate(notebook)
    return [
        "".join(each.get("text") or each.get("data", {}).get("text/plain") or each.ename for each in cell.outputs)
        for cell in notebook.cells
    ]


def states(home: Home, path: Path) -> dict[str, int | None]:
    """The steps of the newest run of a notebook, each with the run that its result was taken from."""
    [run] = home.client().runs(notebook=str(path), limit=1)
    return {step["name"]: step["reused"] for step in home.client().steps(run["id"])}


@pytest.mark.parametrize("name", ["digits", "orders"])
def test_an_example_has_the_outputs_and_values_of_a_run_from_top_to_bottom(home: Home, tmp_path: Path, name: str):
    notebook = read(ROOT / f"examples/{name}.ipynb")
    for folder in ("plain", "steps"):
        (tmp_path / folder).mkdir()
    plain = execute(without_steps(notebook), tmp_path / "plain", home.env)
    path = tmp_path / "steps" / f"{name}.ipynb"
    nbformat.write(with_look(notebook, tmp_path / "steps"), path)
    cellyard(home, "run", path)
    run = nbformat.read(path.with_name(f"{name}.executed.ipynb"), as_version=4)
    nbformat.validate(run)
    steps = looked(run, tmp_path / "steps")
    for cell, found in plain.outputs.items():
        assert steps.outputs[cell] == found, cell
    for variable, value in plain.values.items():
        assert steps.values[variable] == value, variable
    assert steps.sharing == plain.sharing
