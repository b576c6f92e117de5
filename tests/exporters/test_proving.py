"""A bundle proves itself: what is compared, what is found; and it holds for the examples and five more notebooks."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from cellyard.cli import main
from cellyard.exporters.bundle_reading import read_bundle
from cellyard.exporters.proving import prove, write_proof
from tests.exporters.notebooks import write_notebook
from tests.exporters.proven import PROVEN
from tests.house.source_tree import ROOT

EXAMPLES = sorted((ROOT / "examples").glob("*.ipynb"))


def exported(notebook: Path, output: Path, *words: str) -> dict[str, object]:
    """What the proof says of the notebook's bundle."""
    code = main(["export", str(notebook), "--to", "bundle", "--output", str(output), *words])
    found: dict[str, object] = json.loads((output / "proof.json").read_text())
    assert code == (0 if found["holds"] else 1)
    return found


def all_in_one() -> tuple[str, ...]:
    """The cells of three notebooks as one: starting kernels and engines is what takes time."""
    return tuple(dict.fromkeys(cell for name in ("randomness", "classes", "models") for cell in PROVEN[name]))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_notebooks_with_randomness_classes_and_models_prove_themselves_here(tmp_path: Path):
    notebook = write_notebook(tmp_path, *all_in_one())
    found = exported(notebook, tmp_path / "b", "--no-lock", "--prove-here")
    assert found["holds"], found
    compared = {(each["step"], each["role"], each["name"]) for each in found["comparisons"]}  # type: ignore[attr-defined]
    assert {
        ("walk", "makes", "path"),
        ("more", "reads", "early"),
        ("build", "makes", "root"),
        ("fit", "makes", "model"),
    } <= compared
    assert "**The bundle gives the notebook's values.**" in (tmp_path / "b" / "proof.md").read_text()


@pytest.mark.timeout(600)
def test_a_bundle_that_was_changed_does_not_hold_and_the_values_are_named(tmp_path: Path):
    notebook = write_notebook(
        tmp_path,
        "# parameters\nfirst = 0",
        "%%step one --memory 300MiB\na = [first, 2]\nb = 0.5",
        "%%step two --memory 300MiB\nc = a + [b]",
    )
    words = ["--to", "bundle", "--output", str(tmp_path / "b"), "--no-lock", "-p", "first", "1"]
    assert main(["export", str(notebook), *words]) == 0
    step = tmp_path / "b" / "steps/01-one.py"
    step.write_text(step.read_text().replace("a = [first, 2]", "a = [first, 3]"))
    told: list[str] = []
    bundle = read_bundle(tmp_path / "b")
    proof = prove(bundle, notebook, environment="present", parameters={"first": "1"}, tell=told.append)
    write_proof(proof, tmp_path / "b")
    phases = [line for line in told if line.startswith("proving: ")]
    assert [line.split()[2] for line in phases] == ["notebook", "bundle", "value"]
    steps = told[1 : told.index(phases[1])]
    assert any(line.startswith("  step two: succeeded") for line in steps), told
    steps = told[told.index(phases[1]) + 1 : -1]
    assert [line for line in steps if " of 2: " in line] == ["  step 1 of 2: one", "  step 2 of 2: two"]
    assert not proof.holds
    wrong = {(each.step, each.role, each.name): each.detail for each in proof.comparisons if not each.holds}
    assert wrong.keys() == {("one", "makes", "a"), ("two", "reads", "a"), ("two", "makes", "c")}
    assert wrong["one", "makes", "a"] == "[1]: 2 and 3"
    assert "does NOT give" in (tmp_path / "b" / "proof.md").read_text()


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("name", PROVEN)
def test_each_notebook_proves_itself_here(tmp_path: Path, name: str):
    found = exported(write_notebook(tmp_path, *PROVEN[name]), tmp_path / "b", "--no-lock", "--prove-here")
    assert found["holds"], found


@pytest.mark.long
@pytest.mark.timeout(1500)
@pytest.mark.parametrize("notebook", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_prove_themselves_here(tmp_path: Path, notebook: Path):
    found = exported(Path(shutil.copy(notebook, tmp_path)), tmp_path / "b", "--no-lock", "--prove-here")
    assert found["holds"], found


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_a_notebook_proves_itself_in_an_environment_made_from_its_lock(tmp_path: Path):
    found = exported(write_notebook(tmp_path, *PROVEN["frames"]), tmp_path / "b", "--prove")
    assert found["holds"], found
    assert found["environment"] == "new"
    lock = (tmp_path / "b" / "pylock.toml").read_text()
    assert "sha256" in lock
    assert "@" not in lock.replace("@ ", "")
