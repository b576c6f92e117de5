"""Runs that can be found, through the engine: what steps and plain programs log, labels, searches."""

from __future__ import annotations

import pytest

import cellyard
from cellyard.errors import NotFound, UsageError
from cellyard.service.client import EngineClient
from tests.service.engines import Home, finished, run_step, until

SOURCE = """
import cellyard
for epoch in range(3):
    cellyard.log_metric("loss", 1 / (epoch + 1), at=epoch)
cellyard.log_metric("auc", float("nan"))
cellyard.log_param("depth", 3)
class Picture:
    def _repr_png_(self): return b"png"
cellyard.log_figure("roc", Picture())
"""


def test_what_a_step_logs_belongs_to_its_run(client: EngineClient, shared: Home):
    events = run_step(client, SOURCE, owner="ada", commit="a" * 40)
    assert finished(events)["state"] == "succeeded", finished(events)["error"]
    run = events[0]["run"]
    assert [each["kind"] for each in events].index("logged") < len(events) - 1
    found = client.run(run)
    assert found["metrics"] == {"auc": "nan", "loss": pytest.approx(1 / 3)}
    assert found["parameters"] == {"depth": 3}
    assert (found["owner"], found["commit"]) == ("ada", "a" * 40)
    logged = client.logged(run)
    assert [(each["at"], each["value"]) for each in logged["metrics"]["loss"]] == [(0, 1), (1, 0.5), (2, 1 / 3)]
    assert [(each["name"], each["data"], each["step"]) for each in logged["figures"]] == [
        ("roc", {"image/png": "cG5n"}, "work")
    ]
    assert cellyard.History(shared.settings).run(run).curve("loss")[2] == (2.0, pytest.approx(1 / 3))


def test_a_step_that_logs_what_is_no_number_fails_in_words(client: EngineClient):
    error = finished(run_step(client, "import cellyard; cellyard.log_metric('auc', 'high')"))["error"]
    assert error["type"] == "UsageError"
    assert "'high' is no number" in error["message"]


def test_logging_where_nobody_listens_is_refused():
    with pytest.raises(UsageError, match="in a step"):
        cellyard.log_metric("auc", 1)


def test_many_metrics_arrive_together(client: EngineClient):
    source = "import cellyard\nfor i in range(5000): cellyard.log_metric('x', i)"
    events = run_step(client, source)
    assert finished(events)["state"] == "succeeded"
    assert sum(each["kind"] == "logged" for each in events) < 100
    assert len(client.logged(events[0]["run"])["metrics"]["x"]) == 5000


def test_a_step_notes_the_versions_that_it_had(client: EngineClient):
    run = run_step(client, "pass", packages=("msgpack",))[0]["run"]
    until(lambda: client.steps(run)[0]["packages"] is not None, "the versions are noted")
    assert {"python", "msgpack"} <= client.steps(run)[0]["packages"].keys()
    again = run_step(client, "pass", packages=("msgpack",))[0]["run"]
    assert client.steps(again)[0]["packages"] == client.steps(run)[0]["packages"]


def test_runs_are_labelled_and_found(client: EngineClient):
    first = client.create_run(notebook="found.ipynb", name="one", tags=["weekly"], parameters={"depth": 3})["id"]
    second = client.create_run(notebook="found.ipynb", owner="bob")["id"]
    client.label_run(second, add=["weekly", "odd"], name="two")

    def found(**wanted: object) -> list[int]:
        return [each["id"] for each in client.runs(notebook="found.ipynb", **wanted)]

    assert found(tag="weekly") == [second, first]
    assert found(tag=["weekly", "odd"]) == [second]
    assert found(where="params.depth = 3") == [first]
    assert found(search="bo") == [second]
    assert found(before=second) == [first]
    with pytest.raises(UsageError, match="no such field"):
        found(where="depth = 3")
    with pytest.raises(NotFound):
        client.label_run(999_999, add=["x"])


def test_what_is_logged_without_a_run_opens_one_that_is_over(client: EngineClient):
    entry = {"what": "metric", "name": "auc", "value": 0.5}
    run = client.log([entry], notebook="plain.ipynb", session="k", owner="ada")
    client.log([{**entry, "value": 0.75}], run=run)
    until(lambda: client.run(run)["metrics"] == {"auc": 0.75}, "the second value is written")
    assert client.run(run)["state"] == "succeeded"
    with pytest.raises(NotFound):
        client.log([entry], run=999_999)
    with pytest.raises(UsageError, match="an entry needs"):
        client.log([{"what": "thing"}], run=run)


def test_runs_are_compared_values_followed_and_a_run_is_a_page(client: EngineClient, shared: Home, tmp_path):
    first = run_step(client, "df = [1, 2]", name="load", notebook="line.ipynb")
    run = first[0]["run"]
    given = finished(first)["outputs"]
    second = run_step(
        client, "total = sum(df)\nprint('total', total)", name="sum", notebook="line.ipynb", inputs=tuple(given)
    )
    history = cellyard.History(shared.settings)
    found = history.lineage(f"{run}:df")
    assert [each["name"] for each in found["steps"]] == ["load", "sum"]
    assert history.lineage(found["artifact"][:10], down=False)["steps"][0]["run_id"] == run
    compared = history.run(run).compare(second[0]["run"])
    assert [each["name"] for each in compared["steps"]] == ["sum", "load"]
    page = history.run(second[0]["run"]).report(tmp_path / "run.html").read_text()
    assert "total 3" in page
    with pytest.raises(NotFound):
        client.report(999_999)
    with pytest.raises(UsageError, match="names no artifact"):
        client.lineage("?/x")
