"""The commands that find runs, compare them, follow values and schedule, as they are typed."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellyard.cli import main
from cellyard.errors import NotFound
from tests.service.engines import Home, engine_home, run_step
from tests.service.test_schedules import bundle

# A command ends with its process, and leaves it to that to close its connection.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture(scope="module")
def home() -> Iterator[Home]:
    with engine_home() as found, pytest.MonkeyPatch.context() as env:
        for name, value in found.env.items():
            env.setenv(name, value)
        yield found


@pytest.fixture(scope="module")
def runs(home: Home) -> tuple[int, int]:
    """Two runs of one notebook, of which the second reads what the first made."""
    client = home.client()
    source = "import cellyard; cellyard.log_metric('auc', {})\ndf = [{}]"
    first = run_step(client, source.format(0.5, 1), name="load", notebook="/n/a.ipynb")
    second = run_step(client, source.format(0.9, 2), name="load", notebook="/n/a.ipynb")
    given = tuple(second[-1]["content"]["outputs"])
    run_step(client, "total = sum(df)", name="add", notebook="/n/a.ipynb", inputs=given)
    return first[0]["run"], second[0]["run"]


def said(capsys: pytest.CaptureFixture[str], *words: str | int, code: int = 0) -> str:
    assert main([str(each) for each in words]) == code
    captured = capsys.readouterr()
    return captured.out + captured.err


def test_runs_are_labelled_listed_and_shown(runs: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    assert "'the good one': kept, best" not in said(capsys, "label", runs[1], "kept")
    assert "'the good one': best, kept" in said(capsys, "label", runs[1], "best", "--name", "the good one")
    found = said(capsys, "runs", "--tag", "best", "--where", "metrics.auc > 0.7")
    assert "the good one" in found
    assert "best, kept" in found
    assert "no run fits" in said(capsys, "runs", "--search", "nobody")
    assert "no such field" in said(capsys, "runs", "--where", "auc > 1", code=2)
    assert "a tag has at least one letter" in said(capsys, "label", runs[1], "", code=2)
    shown = said(capsys, "show", runs[1])
    assert "metrics: auc=0.9" in shown
    assert "tags: best, kept" in shown


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("show", "9" * 21), "is no number of a run"),
        (("logs", "last"), "is no number of a run"),
        (("runs", "--state", "bogus"), "succeeded"),
        (("runs", "--limit", "0"), "from 1 to 10,000"),
    ],
)
def test_what_is_no_number_or_state_is_said_to_be_none(
    home: Home, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], told: str
):
    with pytest.raises(SystemExit):
        main(list(words))
    assert told in capsys.readouterr().err


def test_a_run_that_has_ended_is_said_to_have(home: Home, runs: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    assert f"run {runs[0]} has succeeded" in said(capsys, "cancel", runs[0])
    with pytest.raises(NotFound):
        home.client().run(10**20)


def test_two_runs_are_compared(runs: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    found = said(capsys, "compare", *runs)
    for each in ("auc: 0.5 -> 0.9", "code: -df = [1]", "code: +df = [2]", "df: list 1 items -> list 1 items"):
        assert each in found, each
    assert json.loads(said(capsys, "compare", *runs, "--json"))["metrics"] == {"auc": [0.5, 0.9]}


def test_a_value_is_followed(runs: tuple[int, int], capsys: pytest.CaptureFixture[str]):
    found = said(capsys, "lineage", f"{runs[1]}:df")
    assert "makes df" in found
    assert "<- this" in found
    assert "reads df" in found
    assert "from load" in found
    assert "add" not in said(capsys, "lineage", f"{runs[1]}:df", "--up")
    assert "There are" not in said(capsys, "lineage", f"{runs[1]}:nothing", code=2)


def test_a_report_is_a_file(runs: tuple[int, int], capsys: pytest.CaptureFixture[str], tmp_path: Path):
    assert "wrote" in said(capsys, "report", runs[0], "--output", tmp_path / "r.html")
    assert (tmp_path / "r.html").read_text().startswith("<!doctype html>")
    assert said(capsys, "report", 999, code=2)


def test_schedules_are_made_listed_and_removed(home: Home, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    source = bundle(tmp_path / "b", "pass")
    assert "nothing is scheduled" in said(capsys, "schedule", "list")
    made = said(
        capsys, "schedule", "add", source, "0 6 * * 1-5", "--timezone", "Europe/Berlin", "--name", "job", "-p", "n=2"
    )
    assert "schedule job: 0 6 * * 1-5 Europe/Berlin" in made
    assert "06:00" in made
    assert "it has not come yet" in said(capsys, "schedule", "history", "job")
    said(capsys, "schedule", "run-now", "job")
    assert len(set(re.findall(r" \d\d:\d\d (\+0[12]00)", said(capsys, "schedule", "list")))) >= 1
    assert re.search(r"\w+ \w\w\w \d\d \w\w\w \d{4} \d\d:\d\d \+0[12]00  /", said(capsys, "schedule", "list"))
    assert "is paused" in said(capsys, "schedule", "pause", "job")
    assert "paused" in said(capsys, "schedule", "list")
    assert "goes on; next: " in said(capsys, "schedule", "resume", "job")
    assert "Give --replace" in said(capsys, "schedule", "add", source, "@daily", "--name", "job", code=2)
    replaced = said(capsys, "schedule", "add", source, "--name", "job", "--replace")
    assert "schedule job is replaced: 0 6 * * 1-5 Europe/Berlin" in replaced
    assert "06:00" in replaced
    history = said(capsys, "schedule", "history", "job")
    assert " hand " in history, "what came before is still known"
    assert "is gone" in said(capsys, "schedule", "remove", "job")
    assert "'job'" in said(capsys, "schedule", "pause", "job", code=2)
