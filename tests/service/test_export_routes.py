"""Exports through the API."""

from __future__ import annotations

import nbformat
import pytest

from cellyard.errors import UsageError


@pytest.fixture
def notebook(tmp_path):
    cells = ["%load_ext kernel_magics", "%%step load --cpu 2\nrows = list(range(9))", "%%step report\nprint(sum(rows))"]
    document = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in cells])
    path = tmp_path / "report.ipynb"
    nbformat.write(document, path)
    return path


def test_the_targets_are_told(client):
    found = client._call("GET", "/v1/exporters")["exporters"]
    assert {"name": "bundle", "keeps_time": False} in found
    assert {"name": "kubernetes", "keeps_time": True} in found


def test_a_bundle_is_written_where_it_was_asked_for(client, notebook, tmp_path):
    output = tmp_path / "made"
    made = client._call("POST", "/v1/exports", {"path": str(notebook), "output": str(output), "lock": False})
    assert {"pipeline.yaml", "README.md"} <= set(made["files"])
    assert sorted(str(each.relative_to(output)) for each in output.rglob("*") if each.is_file()) == made["files"]


def test_what_a_target_cannot_reach_is_refused(client, notebook, tmp_path):
    asked = {"path": str(notebook), "output": str(tmp_path / "made"), "to": "kubernetes"}
    with pytest.raises(UsageError, match="a folder of this machine"):
        client._call("POST", "/v1/exports", asked)
    with pytest.raises(UsageError, match="whole paths"):
        client._call("POST", "/v1/exports", asked | {"output": "made"})
    assert not (tmp_path / "made").exists()


def test_a_cron_expression_is_told_in_words_with_its_next_times(client):
    found = client._call("POST", "/v1/cron", {"expression": "0 6 * * 1-5", "timezone": "Europe/Berlin"})
    assert "Monday through Friday" in found["words"]
    assert len(found["next"]) == 5
    assert all("T06:00:00+0" in each for each in found["next"])
    with pytest.raises(UsageError, match="five fields"):
        client._call("POST", "/v1/cron", {"expression": "often"})
