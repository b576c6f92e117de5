"""Schedule: a cron expression in a time zone, checked before anything else is, and told in words. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice, takewhile
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from cellyard.errors import UsageError

__all__ = ["DEFAULT_ZONE", "Schedule", "parse_schedule"]

DEFAULT_ZONE = "Etc/UTC"

_MARGIN = timedelta(hours=4)
"""More than clocks are ever changed by."""

_NAMED = {
    "@hourly": "0 * * * *",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@weekly": "0 0 * * 0",
    "@monthly": "0 0 1 * *",
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
}
_EXAMPLES = "Examples: '0 6 * * 1-5' (6:00 on working days), '*/15 * * * *' (every quarter of an hour), @daily."
# cronsim knows more than schedulers of clusters do: last days, nearest weekdays, Sunday as 7.
_PLAIN = re.compile(r"[0-9A-Za-z*/,-]+")
_BEYOND = re.compile(r"\b(?:L|\d*W|LW|\d+L)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Schedule:
    """When: five cron fields, in a time zone by its name."""

    expression: str
    timezone: str = DEFAULT_ZONE

    def next(self, count: int, *, after: datetime) -> list[datetime]:
        """The next times, in the schedule's own zone; fewer when there are no more within fifty years."""
        return list(islice(self._times(after), count))

    def between(self, after: float, until: float, *, most: int = 10_000) -> list[float]:
        """The times after one moment and up to another, in seconds since 1970; the first ``most`` of them."""
        times = (each.timestamp() for each in self._times(datetime.fromtimestamp(after, UTC)))
        return list(islice(takewhile(lambda each: each <= until, times), most))

    def _times(self, after: datetime) -> Iterator[datetime]:
        """All times after that one, in order, each once."""
        # By the clock of the world: times of one zone are compared by what its clocks show, whichever time they do.
        bound = after.timestamp()
        return (each for each in self._all_times(after - _MARGIN) if each.timestamp() > bound)

    def _all_times(self, start: datetime) -> Iterator[datetime]:
        """What clocks show is cronsim's; which moments that is, with clocks that are changed, is told here. Its own way
        with zones passes over times where clocks are changed by half an hour."""
        from cronsim import CronSim

        zone = ZoneInfo(self.timezone)
        minute, hour, *_ = self.expression.split()
        goes_on_evenly = minute.startswith("*") or hour.startswith("*")
        waiting: list[datetime] = []
        last = None
        for shown in CronSim(self.expression, start.astimezone(zone).replace(tzinfo=None)):
            first, *second = _moments(shown, zone) if goes_on_evenly else [_moment(shown, zone)]
            if first is None:
                continue
            while waiting and waiting[0] <= first:
                yield waiting.pop(0).astimezone(zone)
            if first != last:
                yield first.astimezone(zone)
                last = first
            waiting += [each for each in second if each is not None]

    def __str__(self) -> str:
        from cronsim import CronSim

        words: str = CronSim(self.expression, datetime(2000, 1, 1)).explain()
        return f"{words} ({self.timezone})"


def _moments(shown: datetime, zone: ZoneInfo) -> list[datetime | None]:
    """The moments, in UTC, at which clocks show this: one, two, or (as None) none."""
    found = [shown.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1)]
    if found[0].astimezone(zone).replace(tzinfo=None) != shown:
        return [None]
    return [found[0]] if found[0] == found[1] else [*found]


def _moment(shown: datetime, zone: ZoneInfo) -> datetime:
    """The first moment at which clocks show this; where they jump over it, the one after the jump."""
    found = _moments(shown, zone)[0]
    while found is None:
        shown += timedelta(minutes=1)
        found = _moments(shown, zone)[0]
    return found


def parse_schedule(expression: str, timezone: str | None = None) -> Schedule:
    """The schedule; raises UsageError when either cannot be meant, or when it would never come."""
    zone = timezone or DEFAULT_ZONE
    _check_zone(zone)
    fields = _NAMED.get(expression.strip().lower(), expression).split()
    if len(fields) != 5 or not all(map(_PLAIN.fullmatch, fields)):
        raise _invalid(expression, "five fields are needed: minute, hour, day of month, month, day of week.")
    if _BEYOND.search(" ".join(fields)):
        raise _invalid(expression, "last days and nearest working days (L, W) are not known everywhere.")
    if re.search(r"\b7\b", fields[4].split("/")[0]):
        raise _invalid(expression, "Sunday is 0 in the last field.")
    found = Schedule(" ".join(fields), zone)
    _check_times(found, expression)
    return found


def _check_times(found: Schedule, expression: str) -> None:
    try:
        from cronsim import CronSimError
    except ImportError as error:
        raise UsageError("schedules need: pip install 'cellyard[engine]'.") from error
    try:
        coming = found.next(1, after=datetime(2000, 1, 1, tzinfo=ZoneInfo(found.timezone)))
    except CronSimError as error:
        raise _invalid(expression, f"{error}.") from error
    if not coming:
        raise _invalid(expression, "this never comes.")


def _check_zone(zone: str) -> None:
    try:
        ZoneInfo(zone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        near = difflib.get_close_matches(zone, available_timezones(), n=3)
        hint = f"Did you mean {' or '.join(near)}?" if near else "Examples: Europe/Berlin, America/New_York, Etc/UTC."
        raise UsageError(f"there is no time zone {zone!r}. {hint}") from error


def _invalid(expression: str, reason: str) -> UsageError:
    return UsageError(f"the schedule {expression!r} cannot be meant: {reason} {_EXAMPLES}")
