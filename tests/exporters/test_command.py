"""`cellyard export`: what it writes and says."""

from __future__ import annotations

import re

import nbformat
import pytest

from cellyard.cli import main
from cellyard.exporters.bundle_reading import read_bundle
from tests.exporters.notebooks import write_notebook


@pytest.fixture
def notebook(tmp_path, monkeypatch):
    monkeypatch.setenv("CELLYARD_STORE", "s3://some-bucket/p")
    monkeypatch.setenv("CELLYARD_KUBERNETES_NAMESPACE", "team")
    path = tmp_path / "report.ipynb"
    nbformat.write(nbformat.v4.new_notebook(), path)
    return path


def test_it_writes_a_folder_and_says_when_it_will_run(notebook, tmp_path, capsys):
    scheduled = ["--schedule", "0 6 * * *", "--timezone", "Asia/Tokyo", "--secret", "store"]
    assert main(["export", str(notebook), "--output", str(tmp_path / "a/b"), *scheduled]) == 0
    said = capsys.readouterr().out
    assert "It runs: At 06:00 every day (Asia/Tokyo)" in said
    assert len(re.findall(r"06:00 JST", said)) == 3
    assert "note:" not in said
    assert "timeZone: Asia/Tokyo" in (tmp_path / "a/b/3-cronjob.yaml").read_text()
    assert "namespace: team" in (tmp_path / "a/b/3-cronjob.yaml").read_text()


def test_again_it_writes_the_same(notebook, tmp_path):
    command = ["export", str(notebook), "--output", str(tmp_path / "out")]
    assert main(command) == 0
    before = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert main(command) == 0
    assert {path.name: path.read_text() for path in (tmp_path / "out").iterdir()} == before


def test_without_a_secret_it_says_what_that_means(notebook, tmp_path, capsys):
    assert main(["export", str(notebook), "--output", str(tmp_path / "out")]) == 0
    said = capsys.readouterr().out
    assert "No Secret is named" in said
    assert "no schedule" in said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--schedule", "soon"], "five fields"),
        (["--schedule", "@daily", "--timezone", "Mars/Base"], "no time zone 'Mars/Base'"),
        (["--timezone", "Etc/UTC"], "only with a schedule"),
        (["--include", "nothing.py"], "nothing.py cannot be read"),
        (["--to", "nowhere"], "known are"),
        (["--memory", "1000"], "1000"),
    ],
)
def test_what_cannot_be_meant_is_refused_before_anything_is_written(notebook, tmp_path, capsys, more, said):
    assert main(["export", str(notebook), "--output", str(tmp_path / "out"), *more]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_a_store_that_pods_cannot_reach_is_refused(notebook, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("CELLYARD_STORE", str(tmp_path / "store"))
    assert main(["export", str(notebook), "--output", str(tmp_path / "out")]) == 2
    assert "set CELLYARD_STORE=s3://BUCKET/PREFIX" in capsys.readouterr().err


def test_a_bundle_gets_other_defaults_where_they_are_given(tmp_path):
    source = "# parameters\ncount = 2\nlabel = 'a'\nrate = 0.5"
    path = write_notebook(tmp_path, source, "%%step one\nx = [count, label, rate]")
    given = ["-p", "count=5", "--parameter=label=it's", "-p", "rate", "inf"]
    assert main(["export", str(path), "--to", "bundle", "--no-lock", "--output", str(tmp_path / "b"), *given]) == 0
    defaults = {each.name: each.default for each in read_bundle(tmp_path / "b").parameters}
    assert defaults == {"count": "5", "label": '"it\'s"', "rate": "float('inf')"}
    names: dict[str, object] = {}
    exec((tmp_path / "b" / "parameters.py").read_text(), names)
    assert (names["count"], names["label"], names["rate"]) == (5, "it's", float("inf"))


@pytest.mark.parametrize(("given", "said"), [("count=many", "not of type int"), ("other=1", "no parameter 'other'")])
def test_a_parameter_that_cannot_be_meant_is_refused(tmp_path, capsys, given, said):
    path = write_notebook(tmp_path, "# parameters\ncount = 2", "%%step one\nx = count")
    assert main(["export", str(path), "--to", "bundle", "--no-lock", "--output", str(tmp_path / "b"), "-p", given]) == 2
    assert said in capsys.readouterr().err


def test_a_notebook_that_is_no_pipeline_takes_no_parameters(notebook, tmp_path, capsys):
    assert main(["export", str(notebook), "--output", str(tmp_path / "out"), "-p", "x=1"]) == 2
    assert "is no pipeline" in capsys.readouterr().err
