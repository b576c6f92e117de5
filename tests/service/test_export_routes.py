"""What helps to ask for an export."""

from __future__ import annotations

import pytest

from cellyard.errors import UsageError
from tests.exporters.notebooks import write_notebook


def test_the_targets_are_told(client):
    found = {each["name"]: each for each in client._call("GET", "/v1/exporters")["exporters"]}
    seen = {name: (each["keeps_time"], each["writes_bundle"], each["problem"]) for name, each in found.items()}
    assert seen == {"bundle": (False, True, ""), "kubernetes": (True, False, "")}
    assert found["bundle"]["title"].startswith("Bundle:")


def test_a_cron_expression_is_told_in_words_with_its_next_times(client):
    found = client._call("POST", "/v1/cron", {"expression": "0 6 * * 1-5", "timezone": "Europe/Berlin"})
    assert "Monday through Friday" in found["words"]
    assert len(found["next"]) == 5
    assert all("T06:00:00+0" in each for each in found["next"])
    with pytest.raises(UsageError, match="five fields"):
        client._call("POST", "/v1/cron", {"expression": "often"})


def test_of_a_folder_that_had_files_those_are_told_that_were_written(client, tmp_path):
    notebook = write_notebook(tmp_path, "%%step one\none = 1")
    output = tmp_path / "out"
    (output / "own").mkdir(parents=True)
    (output / "own" / "notes.txt").write_text("mine")
    wanted = {"to": "bundle", "output": str(output), "options": {"no-lock": True}}
    first = client.export(str(notebook), **wanted)["files"]
    assert "pipeline.yaml" in first
    assert "own/notes.txt" not in first
    assert client.export(str(notebook), **wanted)["files"] == first
