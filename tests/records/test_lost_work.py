"""What an engine that died leaves behind."""

from __future__ import annotations

from cellyard.model import StepState
from cellyard.records import AttemptEnd
from tests.records.making import event, notebook_run, request

SUCCEEDED = StepState.SUCCEEDED


def test_work_in_flight_becomes_lost_and_what_had_ended_stays(records):
    done = records.open_step(request("done"), token="t0")
    records.mark_running("t0")
    records.finish_step(AttemptEnd(token="t0", state=SUCCEEDED, ends_run=True))
    queued = records.open_step(request("queued"), token="t1")
    running = records.open_step(request("running"), token="t2")
    records.mark_running("t2")
    run = notebook_run(records)
    assert [step.name for step in records.open_steps()] == ["queued", "running"]

    lost = records.mark_lost("engine ended")
    assert lost.steps == (queued.step_id, running.step_id)
    assert lost.runs == (queued.run_id, running.run_id, run)
    assert records.open_steps() == []
    assert records.open_runs() == []
    assert records.step(done.step_id).state == "succeeded"
    assert records.step(running.step_id).error["message"].endswith("was lost. Engine ended. Execute the cell again.")
    assert records.attempts(running.step_id)[0].state == "lost"
    assert not records.finish_step(AttemptEnd(token="t2", state=SUCCEEDED))
    assert records.mark_lost("again").steps == ()


def test_whoever_replays_a_lost_step_sees_its_end(records):
    opened = records.open_step(request(), token="t1")
    records.mark_lost("engine ended")
    told = records.events_since(0, run_id=opened.run_id)
    assert [(each.kind, each.step, each.content["state"]) for each in told] == [
        ("finished", "train", "lost"),
        ("state", None, "lost"),
    ]


def test_a_run_whose_owner_lives_can_be_kept(records):
    run = notebook_run(records)
    opened = records.open_step(request(run=run), token="t1")
    lost = records.mark_lost("engine ended", keep_runs={run})
    assert (lost.runs, lost.steps) == ((), (opened.step_id,))
    assert records.run(run).state == "running"


def test_what_is_told_of_lost_work_can_be_numbered_above_all_that_was_ever_told(records):
    opened = records.open_step(request(), token="t1")
    records.append_events([event(opened.run_id)])
    records.mark_lost("engine ended", first_seq=100_001)
    assert [each.seq for each in records.events_since(1)] == [100_001, 100_002]
    assert records.append_events([event(opened.run_id)]) == [100_003]
