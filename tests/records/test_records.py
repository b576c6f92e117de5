"""What is recorded of runs, steps, attempts and events, and what is refused."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from cellyard.errors import IllegalState, NotFound, RecordsError, Unrecordable
from cellyard.model import Resources, StepState
from cellyard.records import (
    AttemptEnd,
    AttemptRecord,
    Event,
    EventRow,
    RunFilter,
    RunRecord,
    StepRecord,
)
from tests.records.making import event, notebook_run, request

SUCCEEDED = StepState.SUCCEEDED


# -- the way of a step


def test_a_step_goes_from_queued_to_its_end_and_its_run_with_it(records):
    opened = records.open_step(request(), token="t1", resources=Resources(1.0))
    assert records.step(opened.step_id).state == "queued"
    assert records.run(opened.run_id).state == "queued"

    assert records.mark_running("t1", pid=77, worker="w1", started=100.0)
    assert records.step(opened.step_id).state == "running"
    assert records.run(opened.run_id).state == "running"

    end = AttemptEnd(
        token="t1",
        state=SUCCEEDED,
        outputs=({"id": "def", "names": ["model"]},),
        peak_memory=2**33,
        cpu_seconds=1.25,
        finished=103.5,
        ends_run=True,
    )
    assert records.finish_step(end)
    step, run = records.step(opened.step_id), records.run(opened.run_id)
    assert (step.state, step.seconds, step.peak_memory, step.pid, step.worker) == ("succeeded", 3.5, 2**33, 77, "w1")
    assert step.outputs == ({"id": "def", "names": ["model"]},)
    assert step.history == ("queued", "running", "succeeded")
    assert (run.kind, run.state, run.seconds) == ("cell", "succeeded", 3.5)
    assert run.ended
    assert step.ended
    [attempt] = records.attempts(step.id)
    assert (attempt.number, attempt.state, attempt.cpu_seconds, attempt.seconds) == (1, "succeeded", 1.25, 3.5)


def test_any_text_can_be_recorded_and_looked_for(records):
    odd = "caf\udce9 \0.ipynb"
    asked = replace(request(notebook=odd), source="x = '\udcff\0'")
    opened = records.open_step(asked, token="t1", resources=Resources(1.0))
    assert records.run(opened.run_id).notebook == "caf\\udce9 \\x00.ipynb"
    assert records.step(opened.step_id).source == "x = '\\udcff\\x00'"
    assert [each.id for each in records.runs(wanted=RunFilter(notebook=odd))] == [opened.run_id]


def test_what_the_database_cannot_hold_is_refused_for_good(records):
    with pytest.raises(Unrecordable, match="did not take it"):
        records.append_events([event(1 << 70)])


def test_a_step_keeps_what_was_asked_and_what_was_given(records):
    opened = records.open_step(request(), token="t1", resources=Resources(1.0))
    step = records.step(opened.step_id)
    asked = request()
    assert (step.source, step.line, step.raw_line) == (asked.source, asked.line, asked.raw_line)
    assert (step.cell_id, step.execution_count, step.inputs) == ("c1", 3, asked.inputs)
    assert step.options == asked.options
    assert step.resources == Resources(1.0)


def test_a_step_gets_what_it_asks_for_unless_something_else_is_given(records):
    assert records.step(records.open_step(request(), token="t1").step_id).resources == Resources(2.0)


def test_steps_join_a_notebooks_run_in_order_and_leave_it_open(records):
    run = notebook_run(records)
    assert records.run(run).state == "running"
    assert records.run(run).owner_pid == 42
    for number, name in enumerate(["load", "train"]):
        opened = records.open_step(request(name, run=run), token=f"t{number}")
        assert opened.run_id == run
        records.mark_running(f"t{number}")
        records.finish_step(AttemptEnd(token=f"t{number}", state=SUCCEEDED))
    assert [(step.name, step.position) for step in records.steps(run)] == [("load", 0), ("train", 1)]
    assert records.run(run).state == "running"
    assert records.finish_run(run, "succeeded", events=[event(run, "state", state="succeeded")])
    assert records.run(run).state == "succeeded"
    assert [each.content for each in records.events_since(0, run_id=run)] == [{"state": "succeeded"}]


def test_run_step_and_attempt_can_also_be_made_one_by_one(records):
    run = records.create_run(kind="cell", notebook="a.ipynb", session="s")
    step = records.create_step(run, request(), position=4)
    assert (records.step(step).position, records.step(step).attempt) == (4, 0)
    assert records.start_attempt(step, "t1") == 1
    assert records.start_attempt(step, "t2") == 2
    assert [each.state for each in records.attempts(step)] == ["lost", "queued"]


def test_an_end_may_bring_the_news_of_its_start(records):
    opened = records.open_step(request(), token="t1")
    end = AttemptEnd(token="t1", state=SUCCEEDED, started=10.0, finished=11.0, pid=5, worker="w", ends_run=True)
    assert records.finish_step(end)
    step = records.step(opened.step_id)
    assert (step.history, step.pid, step.seconds) == (("queued", "running", "succeeded"), 5, 1.0)


def test_since_when_a_step_starts_is_kept_for_each_attempt(records):
    opened = records.open_step(request(), token="t1")
    records.mark_given("t1", 3.0)
    assert (records.step(opened.step_id).given, records.step(opened.step_id).state) == (3.0, "queued")
    records.mark_running("t1", started=4.0)
    assert records.retry_step(AttemptEnd(token="t1", state=StepState.FAILED), token="t2")
    assert records.step(opened.step_id).given is None
    assert records.finish_step(AttemptEnd(token="t2", state=SUCCEEDED, given=6.0, started=7.0, ends_run=True))
    assert [each.given for each in records.attempts(opened.step_id)] == [3.0, 6.0]
    assert records.step(opened.step_id).given == 6.0


# -- attempts and tokens


def test_a_retry_queues_the_step_again_and_keeps_both_attempts(records):
    opened = records.open_step(request(), token="t1")
    records.mark_running("t1", pid=1, started=1.0)
    failed = AttemptEnd(token="t1", state=StepState.FAILED, error={"type": "ValueError", "message": "x"}, peak_memory=9)
    assert records.retry_step(failed, token="t2")
    step = records.step(opened.step_id)
    assert (step.state, step.attempt, step.token, step.started, step.error) == ("queued", 2, "t2", None, None)
    assert records.run(opened.run_id).state == "running"

    records.mark_running("t2", pid=2, started=5.0)
    assert records.finish_step(AttemptEnd(token="t2", state=SUCCEEDED, ends_run=True))
    first, second = records.attempts(opened.step_id)
    assert (first.state, first.error["type"], second.state) == ("failed", "ValueError", "succeeded")
    assert records.step(opened.step_id).history == ("queued", "running", "queued", "running", "succeeded")


def test_only_the_current_token_commits(records):
    opened = records.open_step(request(), token="t1")
    records.mark_running("t1")
    records.start_attempt(opened.step_id, "t2")
    late = AttemptEnd(token="t1", state=SUCCEEDED, outputs=({"id": "late"},), events=[event(opened.run_id)])
    assert not records.finish_step(late)
    assert not records.retry_step(late, token="t3")
    assert not records.mark_running("t1")
    step = records.step(opened.step_id)
    assert (step.state, step.outputs, step.token) == ("queued", (), "t2")
    assert records.events_since(0) == []


def test_an_attempt_commits_once(records):
    opened = records.open_step(request(), token="t1")
    records.mark_running("t1")
    assert not records.mark_running("t1")
    assert records.finish_step(AttemptEnd(token="t1", state=SUCCEEDED))
    again = AttemptEnd(token="t1", state=StepState.FAILED, outputs=({"id": "second"},))
    assert not records.finish_step(again)
    assert records.step(opened.step_id).state == "succeeded"


def test_a_token_that_nobody_gave_changes_nothing(records):
    assert not records.finish_step(AttemptEnd(token="made up", state=SUCCEEDED))
    assert not records.mark_running("made up")


def test_a_token_is_used_once(records):
    records.open_step(request(), token="t1")
    with pytest.raises(RecordsError, match=r"(?i)unique"):
        records.open_step(request(), token="t1")
    assert len(records.runs()) == 1


# -- illegal changes


def test_a_step_cannot_succeed_without_having_run_and_nothing_is_written(records):
    opened = records.open_step(request(), token="t1")
    end = AttemptEnd(token="t1", state=SUCCEEDED, events=[event(opened.run_id)])
    with pytest.raises(IllegalState, match="queued -> succeeded"):
        records.finish_step(end)
    assert records.step(opened.step_id).state == "queued"
    assert records.events_since(0) == []


def test_a_finished_step_is_not_started_again_and_the_error_tells_its_history(records):
    opened = records.open_step(request(), token="t1")
    records.mark_running("t1")
    records.finish_step(AttemptEnd(token="t1", state=SUCCEEDED))
    with pytest.raises(IllegalState, match="step 'train' of run 1: queued -> running -> succeeded -> queued"):
        records.start_attempt(opened.step_id, "t2")


def test_a_run_ends_once_and_saying_so_twice_does_no_harm(records):
    run = notebook_run(records)
    assert records.finish_run(run, "failed", error={"type": "ValueError", "message": "x"})
    assert not records.finish_run(run, "failed", events=[event(run)])
    assert records.events_since(0) == []
    with pytest.raises(IllegalState, match="running -> failed -> succeeded"):
        records.finish_run(run, "succeeded")


def test_no_step_joins_a_run_that_has_ended(records):
    run = notebook_run(records)
    records.finish_run(run, "succeeded")
    with pytest.raises(IllegalState, match=f"run {run}"):
        records.open_step(request(run=run), token="t1")
    assert records.steps(run) == []


def test_what_does_not_exist_is_named(records):
    for ask, what in [
        (lambda: records.run(7), "run 7"),
        (lambda: records.step(8), "step 8"),
        (lambda: records.step_of_token("t"), "step with the token t"),
        (lambda: records.finish_run(9, "failed"), "run 9"),
        (lambda: records.start_attempt(10, "t"), "step 10"),
        (lambda: records.open_step(request(run=11), token="t"), "run 11"),
    ]:
        with pytest.raises(NotFound, match=f"there is no {what}"):
            ask()


# -- events


def test_events_are_numbered_in_order_and_read_from_a_number_on(records):
    run, other = notebook_run(records), notebook_run(records, "b.ipynb")
    seqs = records.append_events([event(run, text=str(number)) for number in range(300)])
    assert seqs == list(range(1, 301))
    assert records.append_events([event(other, text="other")]) == [301]
    assert records.append_events([]) == []
    assert [each.seq for each in records.events_since(298)] == [299, 300, 301]
    assert [each.content["text"] for each in records.events_since(0, limit=2)] == ["0", "1"]
    assert [each.seq for each in records.events_since(0, run_id=other)] == [301]
    assert records.last_seq() == 301


def test_events_may_bring_their_numbers(records):
    run = notebook_run(records)
    assert records.last_seq() == 0
    given = [EventRow(seq=seq, run=run, kind="output", content={}, time=1.0) for seq in (5, 9)]
    assert records.append_events(given) == [5, 9]
    assert records.append_events([event(run)]) == [10]
    with pytest.raises(RecordsError):
        records.append_events(given)


def test_events_of_one_step_can_be_read_alone(records):
    run = notebook_run(records)
    rows = [
        EventRow(run=run, step=f"s{step}", step_id=step, attempt=1, kind="output", content={}, time=1.0)
        for step in (1, 2, 1)
    ]
    records.append_events(rows)
    assert [(each.seq, each.step) for each in records.events_since(0, step_id=1)] == [(1, "s1"), (3, "s1")]


def test_the_private_parts_of_requests_and_ends_are_nowhere_in_the_file(records, url, tmp_path):
    if not url.startswith("sqlite"):
        pytest.skip("PostgreSQL keeps the same columns, in files of its own")
    opened = records.open_step(request(), token="t1")
    records.mark_running("t1")
    content = {"state": "succeeded", "private": "cHJpdmF0ZQ=="}
    end = EventRow(run=opened.run_id, kind="finished", content=content, time=1.0)
    records.finish_step(AttemptEnd(token="t1", state=SUCCEEDED, events=[end]))
    records.append_events([end])
    assert records.events_since(0)[0].content == {"state": "succeeded"}
    files = list(tmp_path.iterdir())
    assert any(b"model = fit(df)" in file.read_bytes() for file in files)
    assert not any(b"cHJpdmF0ZQ" in file.read_bytes() for file in files)


# -- asking


def test_runs_are_listed_the_newest_first_by_notebook_and_state(records):
    ids = [notebook_run(records, name) for name in ("a.ipynb", "b.ipynb", "a.ipynb")]
    records.finish_run(ids[0], "failed")
    assert [run.id for run in records.runs()] == ids[::-1]
    assert [run.id for run in records.runs(1)] == [ids[2]]
    assert [run.id for run in records.runs(wanted=RunFilter(notebook="a.ipynb"))] == [ids[2], ids[0]]
    assert [run.id for run in records.runs(wanted=RunFilter(notebook="a.ipynb", state="failed"))] == [ids[0]]
    assert [run.id for run in records.open_runs()] == ids[1:]


def test_the_last_step_of_a_name_is_the_newest_in_its_notebook(records):
    opened = [records.open_step(request(name), token=name + str(n)) for n in range(2) for name in ("load", "train")]
    other = records.open_step(request("load", notebook="b.ipynb"), token="other")
    last = records.last_step("a.ipynb", "load")
    assert last is not None
    assert last.id == opened[2].step_id
    assert records.last_step("a.ipynb", "nobody") is None
    assert [step.id for step in records.latest_steps("a.ipynb")] == [opened[2].step_id, opened[3].step_id]
    assert [step.id for step in records.latest_steps("b.ipynb")] == [other.step_id]


def test_the_last_step_of_each_cell_is_the_newest_that_it_ran(records):
    cells = ("one", "two", "one", "two", "one")
    opened = [
        records.open_step(replace(request("same" if n else "before"), cell_id=cell), token=str(n))
        for n, cell in enumerate(cells)
    ]
    found = [step.id for step in records.latest_steps("a.ipynb", by_cell=True)]
    assert found == [opened[0].step_id, opened[3].step_id, opened[4].step_id]


def test_a_step_is_found_by_the_token_of_any_of_its_attempts(records):
    opened = records.open_step(request(), token="t1")
    records.start_attempt(opened.step_id, "t2")
    assert records.step_of_token("t1").id == records.step_of_token("t2").id == opened.step_id


def test_every_record_survives_json(records):
    opened = records.open_step(request(), token="t1")
    records.mark_running("t1", pid=1, worker="w")
    records.finish_step(AttemptEnd(token="t1", state=StepState.FAILED, error={"type": "E", "message": "é\ud800"}))
    records.append_events([event(opened.run_id, text="\x00 ∑")])
    found = [
        (RunRecord, records.run(opened.run_id)),
        (StepRecord, records.step(opened.step_id)),
        (AttemptRecord, records.attempts(opened.step_id)[0]),
        (Event, records.events_since(0)[0]),
    ]
    for kind, record in found:
        assert kind.from_dict(json.loads(json.dumps(record.to_dict()))) == record


def test_several_threads_may_write_and_read_at_once(records):
    run = notebook_run(records)

    def write(thread: int) -> int:
        for number in range(25):
            records.append_events([event(run, thread=thread, number=number)] * 4)
        return len(records.events_since(0, run_id=run))

    with ThreadPoolExecutor(4) as threads:
        assert max(threads.map(write, range(4))) == 400
    told = records.events_since(0, run_id=run)
    for thread in range(4):
        numbers = [each.content["number"] for each in told if each.content["thread"] == thread]
        assert numbers == sorted([*range(25)] * 4)
