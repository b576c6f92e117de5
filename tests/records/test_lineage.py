"""Where artifacts come from, and what became of them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from cellyard.errors import NotFound, UsageError
from cellyard.model import StepState
from cellyard.records import AttemptEnd
from tests.records.test_records import request


def ref(artifact: str, *names: str) -> dict[str, object]:
    previews = {name: {"type": "int", "text": "3"} for name in names}
    return {"id": artifact, "names": list(names), "size": 7, "previews": previews}


def ran(records, name: str, inputs=(), outputs=()) -> tuple[int, int]:
    token = f"{name}-{len(records.runs(1000))}"
    opened = records.open_step(replace(request(name), inputs=tuple(inputs)), token=token)
    records.finish_step(AttemptEnd(token=token, state=StepState.SUCCEEDED, started=1.0, outputs=outputs, ends_run=True))
    return opened.run_id, opened.step_id


@pytest.fixture
def chain(records):
    raw, clean, model = ref("aaaaaa1", "raw"), ref("bbbbbb1", "df", "clean"), ref("cccccc1", "model")
    return {
        "load": ran(records, "load", outputs=[raw]),
        "clean": ran(records, "clean", [raw, ref("dddddd1", "by_hand")], [clean]),
        "train": ran(records, "train", [clean], [model]),
        "plot": ran(records, "plot", [clean]),
        "other": ran(records, "other", [ref("dddddd1", "by_hand")], [ref("eeeeee1", "x")]),
    }


def names(found, key: str = "steps") -> list[str]:
    return [each["name"] for each in found[key]]


def test_both_directions_are_walked(records, chain):
    found = records.lineage("bbbbbb1")
    assert names(found) == ["load", "clean", "train", "plot"]
    assert found["names"] == ["clean", "df"]
    made = {each["id"]: each["made_by"] for each in found["artifacts"]}
    assert made == {
        "aaaaaa1": chain["load"][1],
        "bbbbbb1": chain["clean"][1],
        "cccccc1": chain["train"][1],
        "dddddd1": None,
    }
    assert names(records.lineage("bbbbbb1", downward=False)) == ["load", "clean"]
    assert names(records.lineage("bbbbbb1", upward=False)) == ["train", "plot"]
    assert names(records.lineage("dddddd1")) == ["clean", "train", "plot", "other"]


def test_an_artifact_is_named_by_its_beginning_or_by_run_and_name(records, chain):
    run = chain["clean"][0]
    for text in ("bbbbbb", "bbbbbb1", f"{run}:df", f"{run}:clean:clean"):
        assert records.lineage(text)["artifact"] == "bbbbbb1", text
    for text in ("ffffff", f"{run}:raw", f"{run}:load:df", "99:df"):
        with pytest.raises(NotFound):
            records.lineage(text)
    ran(records, "again", outputs=[ref("bbbbbb2", "y")])
    with pytest.raises(UsageError, match="several artifacts begin with bbbbbb"):
        records.lineage("bbbbbb")
    for text in ("", "%", "abc", "a b c d e f"):
        with pytest.raises(UsageError, match="names no artifact"):
            records.lineage(text)


def test_what_made_an_input_is_the_newest_step_before_it(records):
    same = ref("aaaaaa1", "x")
    first = ran(records, "first", outputs=[same])
    ran(records, "reader", [same], [ref("bbbbbb1", "y")])
    ran(records, "later", outputs=[same])
    assert names(records.lineage("bbbbbb1", downward=False)) == ["first", "reader"]
    assert first[1] in {link["step"] for link in records.lineage("bbbbbb1")["links"]}


def test_a_step_that_changes_what_it_reads_is_no_circle(records):
    value = ref("aaaaaa1", "x")
    for _ in range(3):
        ran(records, "same", [value], [value])
    assert len(records.lineage("aaaaaa1")["steps"]) == 3


def test_a_long_history_is_cut_and_says_so(records, monkeypatch):
    for number in range(8):
        inputs = [ref(f"aaaaaa{number - 1}", "x")] if number else []
        ran(records, "grow", inputs, [ref(f"aaaaaa{number}", "x")])
    monkeypatch.setattr("cellyard.records.lineage.MOST_STEPS", 3)
    found = records.lineage("aaaaaa7")
    assert len(found["steps"]) == 3
    assert found["truncated"]
