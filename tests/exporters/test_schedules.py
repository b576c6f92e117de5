"""Schedules: what is taken, what is refused, and when they come."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from cellyard.errors import UsageError
from cellyard.exporters.schedules import parse_schedule


@pytest.mark.parametrize("written", ["0 0 * * *", "@daily", "  0   0 * * *  "])
def test_a_schedule_is_told_in_words(written):
    schedule = parse_schedule(written)
    assert schedule.expression == "0 0 * * *"
    assert str(schedule) == "At 00:00 every day (Etc/UTC)"


def test_the_next_times_are_in_its_own_zone_across_a_change_of_clocks():
    schedule = parse_schedule("0 6 * * *", "Europe/Berlin")
    times = schedule.next(2, after=datetime(2026, 3, 28, 0, 0, tzinfo=UTC))
    assert [each.isoformat() for each in times] == ["2026-03-28T06:00:00+01:00", "2026-03-29T06:00:00+02:00"]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "five fields"),
        ("* * * *", "five fields"),
        ("0 0 6 * * 1", "five fields"),
        ("61 * * * *", "minute"),
        ("0 0 30 2 *", "day-of-month"),
        ("0 0 L * *", "L, W"),
        ("0 0 15W * *", "L, W"),
        ("0 0 * * 7", "Sunday is 0"),
        ("0 0 * * 1#2", "five fields"),
        ("every day", "five fields"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_examples(written, reason):
    with pytest.raises(UsageError, match=reason) as refused:
        parse_schedule(written)
    assert "Examples:" in str(refused.value)


@pytest.mark.parametrize(
    ("zone", "hint"), [("Europe/Berln", "Europe/Berlin"), ("XQ", "Examples"), ("../etc/passwd", "")]
)
def test_an_unknown_time_zone_is_refused_with_those_like_it(zone, hint):
    with pytest.raises(UsageError, match="no time zone") as refused:
        parse_schedule("@daily", zone)
    assert hint in str(refused.value)
