"""How an attempt ended, and whether another follows."""

from __future__ import annotations

import pytest

from cellyard.errors import WorkerLost, WorkerTaken
from cellyard.execution.verdict import MOST_TAKEN, Intervention, judge
from cellyard.model import parse_step_line

ERROR = {"type": "KeyboardInterrupt", "message": "", "traceback": ["here\nand there"], "exception": None, "cause": None}


def verdict(state, *, line="", attempt=1, error=None, **done):
    message = {"state": state, "error": error}
    return judge("train", parse_step_line(line), attempt, message, Intervention(**done))


def test_success_stays_success_whatever_was_asked_of_it():
    for done in ({}, {"timed_out": True}, {"cancelled_by": "x"}, {"interrupted": True}):
        assert verdict("succeeded", line="--retries 3", **done).state == "succeeded"
        assert not verdict("succeeded", line="--retries 3", **done).retry


@pytest.mark.parametrize(("attempt", "again"), [(1, True), (2, True), (3, False)])
def test_failures_are_tried_again_while_retries_last(attempt, again):
    assert verdict("failed", line="--retries 2", attempt=attempt, error=ERROR).retry is again


def test_without_retries_nothing_is_tried_again():
    assert not verdict("failed").retry
    assert not verdict("lost").retry


def test_a_lost_worker_counts_as_a_failed_attempt():
    assert verdict("lost", line="--retries 1").retry


def test_a_timeout_is_an_error_of_ours_with_the_step_s_traceback():
    found = verdict("failed", line="--timeout 10m", error=ERROR, timed_out=True)
    assert (found.state, found.error["type"]) == ("failed", "StepTimeout")
    assert found.error["message"].startswith("step train did not end within 10 min and was stopped. The traceback")
    assert found.error["traceback"] == ["here\nand there"]
    for traceback in ([], ["KeyboardInterrupt: while items were running"]):  # which shows no place
        said = verdict("failed", line="--timeout 10m", error={**ERROR, "traceback": traceback}, timed_out=True)
        assert said.error["message"].endswith("was stopped. --timeout gives it more time.")


def test_a_timeout_that_had_to_use_force_is_a_failure_too():
    assert verdict("cancelled", line="--timeout 1s", timed_out=True).state == "failed"
    assert verdict("cancelled", line="--timeout 1s --retries 1", timed_out=True).state == "failed"


def test_what_its_user_stopped_is_not_tried_again():
    assert not verdict("failed", line="--retries 5", error=ERROR, interrupted=True).retry
    found = verdict("lost", line="--retries 5", cancelled_by=": its run was cancelled")
    assert (found.state, found.retry) == ("cancelled", False)
    assert found.error["message"] == "step train was cancelled: its run was cancelled."


def test_a_worker_that_the_cluster_took_away_does_not_count():
    message = {"state": "lost", "error": WorkerTaken(step="train", worker="w", hint="Evicted.").to_step_error()}
    verdict = judge("train", parse_step_line(""), 1, message, Intervention())
    assert (verdict.retry, verdict.free) == (True, True)
    lost = {"state": "lost", "error": WorkerLost(step="train", worker="w").to_step_error()}
    once = parse_step_line("--retries 1")
    # Two of three attempts were taken away: one retry is left.
    assert judge("train", once, 3, lost, Intervention(), taken=2).retry
    assert not judge("train", once, 4, lost, Intervention(), taken=2).retry
    assert not judge("train", parse_step_line(""), MOST_TAKEN + 1, message, Intervention(), taken=MOST_TAKEN).retry


@pytest.mark.parametrize("done", [Intervention(timed_out=True), Intervention(interrupted=True)])
def test_what_was_to_end_anyway_is_not_begun_again(done):
    message = {"state": "lost", "error": WorkerTaken(step="train", worker="w").to_step_error()}
    assert not judge("train", parse_step_line(""), 1, message, done).retry
