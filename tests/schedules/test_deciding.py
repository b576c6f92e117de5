"""What follows from times that have come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.schedules.deciding import GRACE, MISSED, MOST_CAUGHT_UP, OVERLAPS, Action, Situation, decide

NOW = 1_000_000.0


def at(missed: str = "once", overlap: str = "skip", running: int = 0, waiting: int = 0) -> Situation:
    return Situation(NOW, missed, overlap, running, waiting)


def what(actions: list[Action]) -> list[str]:
    return [each.what for each in actions]


def test_a_time_that_has_come_starts_a_run():
    assert decide([NOW - 1], at()) == [Action("start", NOW - 1, "time")]
    assert decide([], at()) == []


@pytest.mark.parametrize(
    ("overlap", "first", "second"),
    [("skip", "skip", "skip"), ("queue", "wait", "skip"), ("replace", "replace", "skip"), ("allow", "start", "start")],
)
def test_what_comes_while_a_run_goes_on_is_treated_by_policy(overlap, first, second):
    assert what(decide([NOW - 2, NOW - 1], at(overlap=overlap, running=1))) == [first, second]


def test_two_at_once_are_one_start_and_what_the_policy_says():
    assert what(decide([NOW - 2, NOW - 1], at(overlap="queue"))) == ["start", "wait"]


@pytest.mark.parametrize(
    ("missed", "found"),
    [("skip", ["skip"]), ("once", ["skip", "start"]), ("all", ["start", "wait", "wait"])],
)
def test_what_was_missed_is_made_up_for_by_policy(missed, found):
    late = [NOW - 3 * GRACE, NOW - 2.5 * GRACE, NOW - 2 * GRACE]
    actions = decide(late, at(missed))
    assert what(actions) == found
    assert {each.cause for each in actions} == {"missed"}
    if actions[0].what == "skip":
        assert actions[0].note.startswith("3 times" if missed == "skip" else "2 times")
    assert what(decide(late, at("once", running=1)))[-1] == "wait"


def test_a_small_delay_is_not_missing():
    assert decide([NOW - GRACE + 1], at("skip")) == [Action("start", NOW - GRACE + 1, "time")]


def test_of_very_many_the_latest_are_caught_up():
    late = [NOW - GRACE - 1 - number for number in range(1000)][::-1]
    actions = decide(late, at("all"))
    assert what(actions) == ["skip", "start", *["wait"] * (MOST_CAUGHT_UP - 1)]
    assert actions[0].note.startswith(f"{1000 - MOST_CAUGHT_UP} times")


@given(
    st.lists(st.floats(0, 10 * GRACE), max_size=30).map(sorted),
    st.sampled_from(MISSED),
    st.sampled_from(OVERLAPS),
    st.integers(0, 2),
    st.integers(0, 1),
)
def test_every_time_is_accounted_for_once_and_policies_hold(ages, missed, overlap, running, waiting):
    times = [NOW - age for age in ages][::-1]
    actions = decide(times, at(missed, overlap, running, waiting))
    stood_for = [int(each.note.split()[0]) if each.what == "skip" and each.cause == "missed" else 1 for each in actions]
    assert sum(stood_for) == len(times)
    assert [each.due for each in actions] == sorted(each.due for each in actions)
    starts = what(actions).count("start")
    if overlap != "allow":
        assert starts <= (0 if running or waiting else 1)
    if missed == "skip":
        assert all(each.what == "skip" for each in actions if NOW - each.due > GRACE)
    on_time = sum(NOW - each <= GRACE for each in times)
    if overlap == "allow":
        assert sum(each.cause == "time" and each.what == "start" for each in actions) == on_time
    if times and not running and not waiting and (on_time or missed != "skip"):
        assert starts >= 1
