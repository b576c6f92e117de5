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
from tests.notebooks.kernels import kernel_at
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


@pytest.mark.parametrize("name", [pytest.param("digits", marks=pytest.mark.long), "orders"])
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


CHAIN = ("%%step one\nx = 1\nprint('one')", "%%step two\ny = x + 1\ny", "y * 2")


def test_a_run_of_the_same_again_runs_nothing(home: Home, tmp_path: Path):
    path = write(tmp_path / "same.ipynb", LOAD, *CHAIN)
    cellyard(home, "run", path)
    first = shown(path)
    assert "2 of 2 steps would run" not in cellyard(home, "plan", path)
    said = cellyard(home, "run", path)
    assert "nothing to run" in said
    assert shown(path) == first == ["", "one\n", "2", "4"]
    assert None not in states(home, path).values()


def test_what_changed_runs_and_the_plan_says_why(home: Home, tmp_path: Path):
    cells = ("def f(x):\n    return x + 1", "%%step a\nx = 1", "%%step b\ny = f(x)", "%%step c\nz = [y]", "print(z)")
    path = write(tmp_path / "edit.ipynb", LOAD, *cells)
    cellyard(home, "run", path)
    write(path, LOAD, "def f(x):\n    # words\n    return (x + 1)", *cells[1:])
    assert "0 of 3 steps would run" in cellyard(home, "plan", path)
    write(path, LOAD, "def f(x):\n    return x + 2", *cells[1:])
    said = cellyard(home, "plan", path)
    assert "run    b  f changed" in said
    assert "run    c  y comes from b, which runs" in said
    cellyard(home, "run", path)
    assert shown(path)[-1] == "[3]\n"
    assert [name for name, reused in states(home, path).items() if reused is None] == ["b", "c"]
    # The value of b is what it was: c is taken after all.
    write(path, LOAD, "def f(x):\n    return 2 + x", *cells[1:])
    cellyard(home, "run", path)
    assert [name for name, reused in states(home, path).items() if reused is None] == ["b"]
    assert "run    a  forced" in cellyard(home, "plan", path, "--force")
    assert "--from asks for" in cellyard(home, "plan", path, "--from", "b")
    write(path, LOAD, cells[0], "%%step a\nx = 2", *cells[2:])
    assert "| +x = 2" in cellyard(home, "plan", path)


def test_parameters_and_files_count(home: Home, tmp_path: Path):
    (tmp_path / "d.txt").write_text("3")
    cells = ("#parameters\nrows = 1", "%%step a --file d.txt\nn = rows * int(open('d.txt').read())", "print(n)")
    path = write(tmp_path / "given.ipynb", LOAD, *cells)
    cellyard(home, "run", path, "-p", "rows", "2")
    assert shown(path)[-1] == "6\n"
    assert "0 of 1" in cellyard(home, "plan", path, "-p", "rows=2")
    assert "parameter rows is 1, was 2" in cellyard(home, "plan", path)
    (tmp_path / "d.txt").write_text("4")
    assert "file d.txt changed" in cellyard(home, "plan", path, "-p", "rows=2")


def test_what_looks_outside_runs_every_time(home: Home, tmp_path: Path):
    path = write(tmp_path / "outside.ipynb", LOAD, "import time", "%%step a\nnow = time.time()", "%%step b\nlen('x')")
    cellyard(home, "run", path)
    said = cellyard(home, "plan", path)
    assert "it looks outside the notebook (time.time, line 2)" in said
    assert "1 of 2 steps would run" in said


def test_steps_run_side_by_side(home: Home, tmp_path: Path):
    wait = (
        "%%step {}\nimport pathlib, time\npathlib.Path('{}').touch()\n"
        "while not pathlib.Path('{}').exists(): time.sleep(0.01)"
    )
    path = write(tmp_path / "side.ipynb", LOAD, wait.format("a", "A", "B"), wait.format("b", "B", "A"))
    cellyard(home, "run", path)


def test_a_failed_run_is_resumed_after_mending(home: Home, tmp_path: Path):
    count = (
        "import pathlib\nlog = pathlib.Path('log')\nlog.write_text((log.read_text() if log.exists() else '') + '{0}')"
    )
    cells = [
        f"%%step {name}\n{count.format(name)}\n{code}"
        for name, code in (("a", "x = 1"), ("b", "y = x / 0"), ("c", "z = y"))
    ]
    path = write(tmp_path / "resumed.ipynb", LOAD, *cells, "print(z)")
    cellyard(home, "run", path, code=1)
    [failed] = home.client().runs(notebook=str(path), limit=1)
    write(path, LOAD, cells[0], cells[1].replace("/ 0", "/ 2"), cells[2], "print(z)")
    cellyard(home, "resume", str(failed["id"]))
    assert (tmp_path / "log").read_text() == "abbc"
    assert shown(path)[-1] == "0.5\n"
    assert states(home, path) == {"a": failed["id"], "b": None, "c": None}
    [resumed] = home.client().runs(notebook=str(path), limit=1)
    assert resumed["resumes"] == failed["id"]


def test_a_change_that_nobody_could_see_has_its_effect(home: Home, tmp_path: Path):
    (tmp_path / "hidden.py").write_text("def grow(x):\n    x.append(1)\n    return 0\n")
    cells = (
        "import hidden, time",
        "%%step a\nx = [0]",
        "%%step b\ntime.sleep(1)\nn = hidden.grow(x)",
        "%%step c\ny = len(x)",
    )
    path = write(tmp_path / "hidden.ipynb", LOAD, *cells, "print(y)")
    assert "begins again, because b has changed" in cellyard(home, "run", path)
    assert shown(path)[-1] == "2\n"


def test_what_steps_set_in_libraries_orders_and_counts_for_those_after_them(home: Home, tmp_path: Path):
    cells = (
        "import json, time\ndef double(x):\n    return 2 * x\njson.double = double",
        "%%step sets\ntime.sleep(0.5)\njson.more = json.double(1)",
        "%%step uses\ny = json.more",
        "print(y, json.more)",
    )
    path = write(tmp_path / "patched.ipynb", LOAD, *cells)
    cellyard(home, "run", path)
    assert shown(path)[-1] == "2 2\n"
    write(path, LOAD, cells[0].replace("2 * x", "3 * x"), *cells[1:])
    assert "a setting before it changed" in cellyard(home, "plan", path)
    write(path, LOAD, cells[0], cells[1].replace("(1)", "(2)"), *cells[2:])
    assert "the process state comes from sets, which runs" in cellyard(home, "plan", path)
    cellyard(home, "run", path)
    assert shown(path)[-1] == "4 4\n"


def test_random_numbers_are_those_of_a_run_from_top_to_bottom(home: Home, tmp_path: Path):
    cells = (
        "import random\nrandom.seed(3)",
        "%%step a\nx = random.random()",
        "%%step b\ny = random.random()",
        "print(x, y)",
    )
    path = write(tmp_path / "random.ipynb", LOAD, *cells)
    cellyard(home, "run", path)
    import random

    chosen = random.Random(3)
    assert shown(path)[-1] == f"{chosen.random()} {chosen.random()}\n"


def test_a_notebook_that_cannot_run_is_refused_before_anything_runs(home: Home, tmp_path: Path):
    path = write(tmp_path / "wrong.ipynb", LOAD, "%%step a\nx = 1", "%%step b\ny = missing")
    said = cellyard(home, "run", path, code=2)
    assert "cell 3, line 2: nobody makes 'missing'" in said
    assert home.client().runs(notebook=str(path)) == []


def test_the_engine_starts_and_resumes_runs_for_others(home: Home, tmp_path: Path):
    path = write(tmp_path / "asked.ipynb", LOAD, "%%step a\nx = 'asked'", "%%step b\n1 / 0")
    client = home.client()
    run = client.start_pipeline(str(path), name="asked")
    list(client.events(run=run["id"], follow=True))
    assert (client.run(run["id"])["state"], client.run(run["id"])["name"]) == ("failed", "asked")
    again = client.resume_run(run["id"])
    list(client.events(run=again["id"], follow=True))
    assert {step["name"]: step["reused"] for step in client.steps(again["id"])} == {"a": run["id"], "b": None}


def test_values_are_thrown_away_and_made_again(home: Home, tmp_path: Path):
    path = write(tmp_path / "thrown.ipynb", LOAD, "%%step a\nbig = list(range(50_000))", "%%step b\nlen(big)")
    cellyard(home, "run", path)
    said = cellyard(home, "gc", "--keep", "0s", "--dry-run")
    assert "would be removed" in said
    assert "0 of 2 steps would run" in cellyard(home, "plan", path)


def test_a_failure_that_is_caught_does_not_stop_what_comes_after_it(home: Home, tmp_path: Path):
    cells = (
        "%%step risky --catch problem --async\nx = 1/0",
        "%%step judges\nverdict = type(problem).__name__",
        "verdict",
    )
    path = write(tmp_path / "caught.ipynb", LOAD, *cells)
    cellyard(home, "run", path)
    assert shown(path)[-1] == "'ZeroDivisionError'"


def test_a_run_and_a_kernel_share_their_results(home: Home, tmp_path: Path):
    define, cell = "factor = 5\ndef scale(x):\n    return x * factor", "%%step shared --cache\nv = scale(3)\nprint(v)"
    path = write(tmp_path / "shared.ipynb", LOAD, define, cell)
    cellyard(home, "run", path)
    with kernel_at({**home.env, "JPY_SESSION_NAME": str(tmp_path / "other.ipynb")}) as kernel:
        kernel.run(define)
        ran = kernel.run(cell)
        assert "its result is taken" in ran.stderr
        assert (ran.stdout, kernel.run("v").result) == ("15\n", "15")
        kernel.run("factor = 6")
        assert kernel.run(cell).stdout == "18\n"
    path = write(tmp_path / "third.ipynb", LOAD, define.replace("5", "6"), cell)
    assert "0 of 1 steps would run" in cellyard(home, "plan", path)


def test_a_script_of_jupytext_runs(home: Home, tmp_path: Path):
    path = tmp_path / "script.py"
    path.write_text(
        '# %% tags=["parameters"]\nn = 2\n\n# %%\n# %%step a --map i=range(n)\ny = i + 7\n\n# %%\nprint(y)\n'
    )
    cellyard(home, "run", path, "-p", "n=3")
    assert shown(path)[-1] == "[7, 8, 9]\n"
