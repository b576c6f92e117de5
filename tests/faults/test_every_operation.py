"""Every operation of the store, and every commit of the records, interrupted once by the death of the process that was
about to do it: resumed, the run comes to the same outputs, and nothing that had been committed runs again."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import nbformat
import pytest

from tests.notebook.cells import document
from tests.service.engines import Home, engine_home

HOOK = Path(__file__).with_name("interruptions")
MOST = 400


class Pipeline:
    """A notebook of so many steps, each of which notes that it runs."""

    def __init__(self, folder: Path, home: Home, count: int) -> None:
        self.home = home
        self.count = count
        self.path = folder / "chain.ipynb"
        self._log = folder / "log"
        self._control = folder / "control"
        note = "with open('log', 'a') as log:\n    log.write('s{0}\\n')\n"
        first = "%%step s0\n" + note.format(0) + "x0 = [0]"
        cells = [f"%%step s{n}\n{note.format(n)}x{n} = [*x{n - 1}, {n}]\nprint(x{n})" for n in range(1, count)]
        self.path.write_text(json.dumps(document("%load_ext kernel_magics", first, *cells, f"sum(x{count - 1})")))

    def run(self, *arguments: str) -> int:
        """Run a command on it; its exit code."""
        return subprocess.run(
            [sys.executable, "-m", "cellyard", *arguments],
            env=self.home.process_env,
            capture_output=True,
            timeout=600,
            check=False,
        ).returncode

    def interrupt(self, kind: str, after: int) -> None:
        """The process that comes to such an operation, when so many were let by, dies."""
        self._control.write_text(f"{kind} {after:<10}")

    @property
    def was_interrupted(self) -> bool:
        return not self._control.exists()

    def ran(self) -> Counter[str]:
        """How often each step has begun."""
        return Counter(self._log.read_text().split()) if self._log.exists() else Counter()

    def committed(self) -> set[str]:
        """The steps that have ended well in any run."""
        client = self.home.client()
        runs = client.runs(notebook=str(self.path), limit=MOST)
        return {s["name"] for run in runs for s in client.steps(run["id"]) if s["state"] == "succeeded"}

    def ended_well(self, run: str | None) -> set[str]:
        """The steps that have ended well in a run."""
        return {s["name"] for s in self.home.client().steps(int(run or 0)) if s["state"] == "succeeded"}

    def newest(self) -> str | None:
        """The number of the newest run."""
        runs = self.home.client().runs(notebook=str(self.path), limit=1)
        return str(runs[0]["id"]) if runs else None

    def check(self) -> None:
        """It has come to its end."""
        notebook = nbformat.read(self.path.with_name("chain.executed.ipynb"), as_version=4)
        last = self.count - 1
        assert notebook.cells[-1].outputs[0]["data"]["text/plain"] == str(last * self.count // 2)
        shown = [cell.outputs[0]["text"] for cell in notebook.cells[2:-1]]
        assert shown == [f"{list(range(n + 1))}\n" for n in range(1, self.count)]


@pytest.fixture
def interrupted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    # Also for engines that this process starts when it asks one that has been killed.
    monkeypatch.setenv("PYTHONPATH", str(HOOK), prepend=os.pathsep)
    monkeypatch.setenv("CELLYARD_INTERRUPTION", str(tmp_path / "control"))
    with engine_home() as home:
        yield home


def interrupt_all(pipeline: Pipeline, kind: str) -> int:
    """Interrupt one operation after the other, and resume each time; how many those were.

    A run goes on with the step that was interrupted. So one more operation is let by each time, until the step has been
    committed; then it is the next step's turn.
    """
    let_by, committed, count = 0, 0, 0
    while True:
        assert pipeline.run("engine", "run") == 0
        before, ran = pipeline.committed(), pipeline.ran()
        if len(before) > committed:
            committed, let_by = len(before), 0
        newest = pipeline.newest()
        pipeline.interrupt(kind, let_by)
        code = pipeline.run("run", str(pipeline.path)) if newest is None else pipeline.run("resume", newest)
        again = {name for name in before if pipeline.ran()[name] != ran[name]}
        assert not again, f"after {count} interruptions {again} had been committed and ran again"
        if not pipeline.was_interrupted:
            assert code == 0
            return count
        count += 1
        assert count < MOST
        let_by += 1
        if code == 0:  # what died was of no consequence for the run: all has been interrupted
            return count


@pytest.mark.timeout(120)
def test_an_interrupted_write_of_a_value_costs_its_step_alone(interrupted: Home, tmp_path: Path):
    pipeline = Pipeline(tmp_path, interrupted, 3)
    pipeline.interrupt("store", 2)
    assert pipeline.run("run", str(pipeline.path)) == 1
    assert pipeline.was_interrupted
    before, ran = pipeline.committed(), pipeline.ran()
    assert pipeline.run("resume", str(pipeline.newest())) == 0
    assert {name: pipeline.ran()[name] for name in before} == {name: ran[name] for name in before}
    pipeline.check()


def interrupt_each(pipeline: Pipeline, kind: str) -> int:
    """Interrupt the first operation of a run, of the next run the second, and so on, until a run has no more of them;
    how many those were. What is interrupted costs one step at the most, and what had ended is not run again."""
    count = 0
    while True:
        assert pipeline.run("engine", "run") == 0
        last, ran = pipeline.newest(), pipeline.ran()
        pipeline.interrupt(kind, count)
        code = pipeline.run("run", str(pipeline.path), "--force")
        if not pipeline.was_interrupted:
            assert code == 0
            return count
        newest = pipeline.newest()
        if code and newest == last:  # it was not even begun
            assert pipeline.run("run", str(pipeline.path), "--force") == 0
        elif code:
            done, before = pipeline.ended_well(newest), pipeline.ran()
            assert pipeline.run("resume", str(newest)) == 0
            again = {name for name in done if pipeline.ran()[name] != before[name]}
            assert not again, f"at operation {count} {again} had been committed and ran again"
        pipeline.check()
        assert (pipeline.ran() - ran).total() in {pipeline.count, pipeline.count + 1}
        count += 1
        assert count < MOST


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_every_operation_of_the_store_may_be_interrupted(interrupted: Home, tmp_path: Path):
    pipeline = Pipeline(tmp_path, interrupted, 20)
    assert interrupt_all(pipeline, "store") > 20
    newest = pipeline.newest()
    if interrupted.client().run(int(newest or 0))["state"] != "succeeded":
        assert pipeline.run("resume", str(newest)) == 0
    pipeline.check()
    assert set(pipeline.ran()) == {f"s{n}" for n in range(20)}


@pytest.mark.long
@pytest.mark.timeout(5400)
def test_every_commit_of_the_records_may_be_interrupted(interrupted: Home, tmp_path: Path):
    """Many of them a run survives by itself: its process has the next engine go on."""
    pipeline = Pipeline(tmp_path, interrupted, 20)
    assert interrupt_each(pipeline, "records") > 40
