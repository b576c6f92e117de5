"""Schedules in the records, in both databases."""

from __future__ import annotations

import pytest

from cellyard.errors import NotFound, UsageError
from cellyard.model import StepState
from cellyard.records import AttemptEnd, RunOrigin
from tests.records.test_records import request

FACTS = {
    "name": "nightly",
    "bundle": "/b",
    "notebook": "/n/a.ipynb",
    "expression": "0 6 * * *",
    "timezone": "Europe/Berlin",
    "on_change": ["/data"],
    "parameters": {"n": "3"},
    "missed": "once",
    "overlap": "skip",
    "command": None,
    "webhook": None,
    "owner": "ada",
}


def test_a_schedule_is_kept_changed_and_removed(records):
    made = records.schedules.add(FACTS)
    assert (made.state, made.on_change, made.parameters, made.seen) == ("active", ("/data",), {"n": "3"}, {})
    assert records.schedules.all() == [made] == [records.schedules.named("nightly")]
    assert type(made).from_dict(made.to_dict()) == made
    with pytest.raises(UsageError, match=r"already.*--replace"):
        records.schedules.add(FACTS)
    assert records.schedules.change("nightly", state="paused").state == "paused"
    records.schedules.remove("nightly")
    for ask in (records.schedules.named, records.schedules.remove, records.schedules.history):
        with pytest.raises(NotFound, match="nightly"):
            ask("nightly")


def test_a_schedule_that_is_replaced_keeps_its_id_its_state_and_its_history(records):
    made = records.schedules.add(FACTS)
    records.schedules.change("nightly", state="paused")
    row = {"due": 1.0, "cause": "hand", "state": "running"}
    came = records.schedules.came(made.id, [row], seen={"/data": "f", "/old": "g"})
    before, found = records.schedules.replace(made, bundle="/b2", on_change=["/data", "/new"])
    assert (before.bundle, before.state) == ("/b", "paused")
    assert (found.id, found.state, found.bundle, found.expression) == (made.id, "paused", "/b2", "0 6 * * *")
    assert found.seen == {"/data": "f"}, "what is watched anew is seen for the first time"
    assert records.schedules.history("nightly") == came
    # The one that is there is told, not the one that was known.
    assert records.schedules.replace(made, bundle="/b3")[0] == found
    records.schedules.remove("nightly")
    with pytest.raises(NotFound, match="nightly"):
        records.schedules.replace(made, bundle="/b4")
    records.schedules.add(FACTS)
    with pytest.raises(UsageError, match="made anew meanwhile"):
        records.schedules.replace(made, bundle="/b4")


def test_times_and_the_moment_they_were_considered_are_written_together(records):
    made = records.schedules.add(FACTS)
    rows = [
        {"due": 1.0, "cause": "missed", "state": "skipped", "note": "4 times"},
        {"due": 2.0, "cause": "time", "state": "running"},
        {"due": 3.0, "cause": "change", "state": "waiting"},
    ]
    came = records.schedules.came(made.id, rows, considered=3.0, seen={"/data": "f"})
    assert [each.state for each in came] == ["skipped", "running", "waiting"]
    assert came[0].finished is not None
    assert came[1].finished is None
    again = records.schedules.named("nightly")
    assert (again.considered, again.seen) == (3.0, {"/data": "f"})
    assert records.schedules.open_firings() == came[1:]
    assert records.schedules.last() == {made.id: came[2]}
    ended = records.schedules.firing_changed(came[1].id, state="succeeded", finished=9.0, run_id=7)
    assert ended is not None
    assert [each.id for each in records.schedules.history("nightly", 2)] == [came[2].id, came[1].id]
    assert records.schedules.open_firings() == [came[2]]
    records.schedules.remove("nightly")
    assert records.schedules.came(made.id, rows) == []
    assert records.schedules.firing_changed(came[1].id, state="failed") is None


def test_a_run_says_which_time_it_belongs_to(records):
    assert records.schedules.run_tagged("firing:1") is None
    run = records.create_run(kind="notebook", notebook="n", session="s", origin=RunOrigin(tags=("firing:1",)))
    assert records.schedules.run_tagged("firing:1") == (run, "running")


def test_the_newest_value_of_a_notebook_is_found_by_the_end_of_its_path(records):
    for number, (notebook, artifact, state) in enumerate(
        [
            ("/n/a.ipynb", "f1", StepState.SUCCEEDED),
            ("/n/a.ipynb", "f2", StepState.SUCCEEDED),
            ("/n/a.ipynb", "f3", StepState.FAILED),
            ("/n/not_a.ipynb", "f4", StepState.SUCCEEDED),
        ]
    ):
        records.open_step(request(notebook=notebook), token=f"t{number}")
        outputs = [{"id": artifact, "names": ["df"], "size": 1}]
        records.finish_step(AttemptEnd(token=f"t{number}", state=state, started=1.0, outputs=outputs))
    newest = records.schedules.newest_artifact
    assert newest("a.ipynb", "df") == newest("/n/a.ipynb", "df") == "f2"
    assert newest("b.ipynb", "df") is None
    assert newest("a.ipynb", "other") is None
