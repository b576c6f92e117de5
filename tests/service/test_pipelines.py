"""Pipelines over the engine's API."""

from __future__ import annotations

import json

import pytest

from cellyard.errors import UsageError
from cellyard.service.client import EngineClient
from tests.notebook.cells import document

CELLS = ("#parameters\nrows = 2", "%%step load\ndf = [rows]", "%%step use --cpu 2\nlen(df)", "missing")


def test_a_notebook_is_answered_with_its_pipeline(client: EngineClient):
    found = client.pipeline(notebook=document(*CELLS))
    load, use = found["steps"]
    assert (load["name"], load["cell"], load["reads"], load["writes"]) == ("load", 1, ["rows"], ["df"])
    assert (use["resources"]["cpu"], use["source"], use["cell_id"]) == (2.0, "len(df)", "00000002")
    assert found["edges"] == [{"from": "load", "to": "use", "names": ["df"], "why": "values"}]
    assert found["parameters"] == [{"name": "rows", "type": "int", "default": "2", "cell": 0}]
    [problem] = found["problems"]
    assert (problem["cell"], problem["line"], problem["level"]) == (3, 1, "error")


def test_it_may_be_named_by_its_path(client: EngineClient, tmp_path):
    path = tmp_path / "n.ipynb"
    path.write_text(json.dumps(document(*CELLS)))
    assert [step["name"] for step in client.pipeline(path=str(path))["steps"]] == ["load", "use"]


def test_what_is_no_notebook_is_refused(client: EngineClient):
    for wanted in ({"path": "/nowhere.ipynb"}, {"notebook": {}}, {}):
        with pytest.raises(UsageError):
            client.pipeline(**wanted)
    with pytest.raises(UsageError, match="no parameter"):
        client.pipeline(notebook=document(*CELLS), parameters={"x": 1})
