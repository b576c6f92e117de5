"""Earlier runs, read from a process that had no part in them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

import cellyard
from cellyard.errors import ArtifactMissing, NotFound
from cellyard.history import Run
from tests.service.engines import Home, engine_home, run_step

SOURCE = """
import sys
class Point:
    def __init__(self, x): self.x = x
    def twice(self): return self.x * factor
factor = 2
point = Point(21)
numbers = list(range(5))
print('to stdout')
print('to stderr', file=sys.stderr)
numbers
"""


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home() as found:
        yield found


@pytest.fixture(scope="module")
def run(home: Home) -> Iterator[Run]:
    client = home.client()
    opened = client.create_run(notebook="n.ipynb")["id"]
    run_step(client, SOURCE, name="make", run=opened, line="--memory 1GiB")
    run_step(client, "1 / 0", name="break", run=opened)
    client.finish_run(opened, state="failed")
    history = cellyard.History(home.settings)
    yield history.run(opened)
    history.close()


def test_the_package_offers_it():
    assert cellyard.History.__module__ == "cellyard.history"
    with pytest.raises(AttributeError, match="Histori"):
        _ = cellyard.Histori


def test_runs_come_newest_first(home: Home, run: Run):
    run_step(home.client(), "pass", name="later", notebook="other.ipynb")
    history = cellyard.History(home.settings)
    assert [each.notebook for each in history.runs(limit=2)] == ["other.ipynb", "n.ipynb"]
    assert [each.id for each in history.runs(notebook="n.ipynb")] == [run.id]
    assert [each.id for each in history.runs(state="failed")] == [run.id]
    assert history[run.id].state == "failed"
    history.close()


def test_a_run_knows_its_steps(run: Run):
    assert [(step.name, step.state) for step in run.steps] == [("make", "succeeded"), ("break", "failed")]
    assert run["break"].error is not None
    assert run["break"].error["type"] == "ZeroDivisionError"
    assert str(run["make"].resources) == "1 CPU, 1 GiB"
    assert run["make"].seconds is not None


def test_values_are_as_they_were(run: Run):
    step = run["make"]
    assert set(step.outputs) >= {"numbers", "factor", "point", "Point"}
    assert step["numbers"] == [0, 1, 2, 3, 4]
    assert step["point"].twice() == 42
    assert step.values()["factor"] == 2


def test_changing_a_value_changes_nothing_stored(run: Run):
    run["make"]["numbers"].append("mine")
    assert run["make"]["numbers"] == [0, 1, 2, 3, 4]


def test_logs_are_what_was_printed(run: Run):
    logs = run["make"].logs()
    assert "to stdout\n" in logs
    assert "to stderr\n" in logs
    assert "[0, 1, 2, 3, 4]\n" in logs
    assert run["break"].logs() == ""
    assert run.logs() == logs


def test_the_latest_steps_of_a_notebook(home: Home, run: Run):
    history = cellyard.History(home.settings)
    assert {step.name for step in history.steps("n.ipynb")} == {"make", "break"}
    history.close()


def test_what_does_not_exist_is_named_with_what_is_near(home: Home, run: Run):
    with pytest.raises(NotFound, match="make"):
        run["mak"]
    with pytest.raises(NotFound, match="numbers"):
        run["make"]["number"]
    history = cellyard.History(home.settings)
    with pytest.raises(NotFound, match="run 12345"):
        history.run(12345)
    history.close()


def test_a_value_that_is_gone_is_a_clear_error(home: Home):
    client = home.client()
    opened = run_step(client, "lonely = 'nobody else stores this'")[0]["run"]
    history = cellyard.History(home.settings)
    step = history.run(opened)["work"]
    [reference] = step.references
    [file] = home.folder.glob(f"store/objects/{reference['id'][:2]}/{reference['id'][2:]}")
    file.unlink()
    with pytest.raises(ArtifactMissing):
        step["lonely"]
    history.close()


def test_it_is_shown_as_a_table(home: Home, run: Run):
    assert "make" in repr(run)
    assert "1 CPU, 1 GiB" in repr(run["make"])
    history = cellyard.History(home.settings)
    assert "n.ipynb" in repr(history)
    assert "<table>" in history._repr_html_()
    assert ">make</td>" in run._repr_html_()
    history.close()


def test_another_process_reads_the_same(home: Home, run: Run):
    program = f"import cellyard; print(cellyard.History()[{run.id}]['make']['numbers'])"
    done = subprocess.run(
        [sys.executable, "-c", program], env=home.process_env, capture_output=True, text=True, check=True
    )
    assert done.stdout == "[0, 1, 2, 3, 4]\n"
