"""Schedules: what is taken, what is refused, and when they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cellyard.errors import UsageError
from cellyard.schedules.cron import parse_schedule


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


ZONES = (
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "Australia/Lord_Howe",
    "Australia/Sydney",
    "Asia/Beirut",
    "Etc/UTC",
    "Asia/Kolkata",
)


def changes_of(zone: str, year: int) -> list[datetime]:
    """The hours in which the clocks of a zone are changed, in UTC."""
    place = ZoneInfo(zone)
    hours = [datetime(year, 1, 1, tzinfo=UTC) + timedelta(hours=number) for number in range(366 * 24)]
    offsets = [each.astimezone(place).utcoffset() for each in hours]
    return [hour for hour, before, after in zip(hours[1:], offsets, offsets[1:], strict=False) if before != after]


AROUND = [(zone, change) for zone in ZONES for change in changes_of(zone, 2026) or [datetime(2026, 3, 29, tzinfo=UTC)]]


def exists(local: datetime, zone: ZoneInfo) -> bool:
    """Whether clocks there ever show this."""
    return local.replace(tzinfo=zone).astimezone(UTC).astimezone(zone).replace(tzinfo=None) == local


@given(st.sampled_from(AROUND), st.integers(0, 23), st.sampled_from([0, 15, 30, 45]))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_time_of_day_comes_once_a_day_through_every_change_of_clocks(where, hour, minute):
    """At the time itself where the day has it (the first, where it has two), else when the clocks have jumped it."""
    name, change = where
    zone = ZoneInfo(name)
    start, end = change - timedelta(days=3), change + timedelta(days=3)
    found = parse_schedule(f"{minute} {hour} * * *", name).between(start.timestamp(), end.timestamp())
    times = [datetime.fromtimestamp(each, zone) for each in found]
    days = [each.date() for each in times]
    assert len(set(days)) == len(days)
    assert all((later - earlier).days == 1 for earlier, later in pairwise(days))
    assert len(days) in (5, 6, 7)
    for each in times:
        local = datetime(each.year, each.month, each.day, hour, minute)
        if exists(local, zone):
            assert each == local.replace(tzinfo=zone)
            assert each.fold == 0
        else:
            # The first minute after the gap.
            before = (each.astimezone(UTC) - timedelta(minutes=1)).astimezone(zone)
            assert before.utcoffset() != each.utcoffset()
            assert before.replace(tzinfo=None) < local < each.replace(tzinfo=None) + timedelta(minutes=1)


def test_in_an_hour_shown_twice_the_second_time_nothing_comes_again():
    schedule = parse_schedule("30 2 * * *", "Europe/Berlin")
    second = datetime(2026, 10, 25, 1, 0, tzinfo=UTC)
    assert second.astimezone(ZoneInfo("Europe/Berlin")).fold == 1
    for after in (second, second.astimezone(ZoneInfo("Europe/Berlin"))):
        assert schedule.next(1, after=after)[0].isoformat() == "2026-10-26T02:30:00+01:00"


@given(st.sampled_from(AROUND), st.sampled_from([1, 5, 10, 15, 30]))
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_every_so_many_minutes_goes_on_evenly_through_every_change_of_clocks(where, step):
    name, change = where
    start, end = change - timedelta(hours=6), change + timedelta(hours=6)
    found = parse_schedule(f"*/{step} * * * *", name).between(start.timestamp(), end.timestamp())
    assert {later - earlier for earlier, later in pairwise(found)} == {step * 60.0}
    assert len(found) == 12 * 60 // step


@given(
    st.sampled_from(AROUND),
    st.sampled_from(["30 2 * * *", "*/20 * * * *", "0 * * * *", "15 1-3 * * *", "0 0 * * *", "5 */2 * * 0-6"]),
    st.lists(st.floats(0, 3 * 86400.0), min_size=1, max_size=8),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_looking_piece_by_piece_finds_what_looking_at_once_finds(where, expression, cuts):
    """Nothing twice and nothing missed, wherever one look ends and the next begins."""
    name, change = where
    schedule = parse_schedule(expression, name)
    start = (change - timedelta(days=1)).timestamp()
    moments = [start, *sorted(start + each for each in cuts)]
    pieces = [time for after, until in pairwise(moments) for time in schedule.between(after, until)]
    assert pieces == schedule.between(moments[0], moments[-1])
