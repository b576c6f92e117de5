"""``cellyard schedule add|list|pause|resume|remove|run-now|history``."""

from __future__ import annotations

import argparse
import shlex
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

from cellyard.model import format_duration
from cellyard.origin import origin_of
from cellyard.service.client import EngineClient
from cellyard.service.schedule_options import schedule_request
from cellyard.tables import aligned

__all__ = ["add", "history", "pause", "remove", "resume", "run_now", "show_all"]

Json = Mapping[str, Any]


def add(arguments: argparse.Namespace) -> int:
    """Make a schedule, or put another notebook in its place, and say when it comes next."""
    owner = origin_of(arguments.path.absolute()).owner
    made = _client().add_schedule(schedule_request(arguments.path, arguments.expression, arguments, owner))
    for note in made["notes"]:
        print(f"note: {note}")
    print(f"schedule {made['name']}{' is replaced' if made['replaced'] else ''}: {_when(made)}")
    if made["next"]:
        print(f"next: {', '.join(map(_date, made['next']))}")
    return 0


def show_all(_arguments: argparse.Namespace) -> int:
    """List the schedules."""
    found = _client().schedules()
    if not found["schedules"]:
        print("nothing is scheduled: cellyard schedule add NOTEBOOK '0 6 * * 1-5' --timezone Europe/Berlin")
        return 0
    _print_table(
        ["schedule", "state", "when", "next", "last", "notebook"],
        (
            [each["name"], each["state"], _when(each), _first(each["next"]), _last(each), each["notebook"]]
            for each in found["schedules"]
        ),
    )
    for note in found["notes"]:
        print(f"note: {note}")
    return 0


def pause(arguments: argparse.Namespace) -> int:
    """Start nothing any more."""
    made = _client().change_schedule(arguments.name, "paused")
    print(f"schedule {made['name']} is paused; a run that goes on is not stopped")
    return 0


def resume(arguments: argparse.Namespace) -> int:
    """Go on."""
    made = _client().change_schedule(arguments.name, "active")
    print(f"schedule {made['name']} goes on; next: {_first(made['next']) or 'when something changes'}")
    return 0


def remove(arguments: argparse.Namespace) -> int:
    """Take it away."""
    made = _client().remove_schedule(arguments.name)
    print(f"schedule {made['name']} is gone; its runs stay on record (cellyard runs --tag 'schedule:{made['name']}')")
    return 0


def run_now(arguments: argparse.Namespace) -> int:
    """Start a run by hand."""
    _client().run_schedule(arguments.name)
    print(f"started; cellyard schedule history {shlex.quote(arguments.name)} tells how it goes")
    return 0


def history(arguments: argparse.Namespace) -> int:
    """List what came."""
    found = _client().schedule_history(arguments.name, limit=arguments.limit)
    if not found:
        print("it has not come yet")
        return 0
    _print_table(
        ["due", "cause", "state", "run", "took", "note"],
        ([_moment(each["due"]), each["cause"], each["state"], _run(each), _took(each), each["note"]] for each in found),
    )
    return 0


def _client() -> EngineClient:
    return EngineClient(notify=lambda text: print(text, file=sys.stderr))


def _when(schedule: Json) -> str:
    parts = [f"{schedule['expression']} {schedule['timezone']}"] if schedule["expression"] else []
    return "; ".join([*parts, *(f"when {each} changes" for each in schedule["on_change"])])


def _first(times: Sequence[str]) -> str:
    return _date(times[0]) if times else ""


def _date(text: str) -> str:
    return _told(datetime.fromisoformat(text))


def _told(moment: datetime) -> str:
    return f"{moment:%a %d %b %Y %H:%M %z}"


def _last(schedule: Json) -> str:
    """In the zone of the schedule, as the next time is."""
    firing = schedule["last"]
    if firing is None:
        return ""
    zone = ZoneInfo(schedule["timezone"]) if schedule["timezone"] else None
    return f"{firing['state']} {_told(datetime.fromtimestamp(firing['due'], UTC).astimezone(zone))}"


def _moment(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(seconds))


def _run(firing: Json) -> str:
    return "" if firing["run_id"] is None else str(firing["run_id"])


def _took(firing: Json) -> str:
    if not firing["started"] or not firing["finished"]:
        return ""
    return format_duration(round(firing["finished"] - firing["started"], 1))


def _print_table(head: list[str], rows: Iterable[list[str]]) -> None:
    print("\n".join(aligned([head, *rows])))
