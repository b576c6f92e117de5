"""Scheduling: what is asked for made into a schedule, with a bundle of its own in the engine's folder."""

from __future__ import annotations

import re
import secrets
import shlex
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cellyard.errors import UsageError
from cellyard.exporters.bundle_reading import Bundle, read_bundle
from cellyard.notebook.parameters import parameter_values
from cellyard.records import ScheduleRecord
from cellyard.schedules.cron import Schedule, parse_schedule
from cellyard.schedules.deciding import MISSED, OVERLAPS
from cellyard.schedules.wanted import WantedSchedule
from cellyard.schedules.watching import parse_watched
from cellyard.service.schedule_bundles import put_bundle
from cellyard.settings import Settings

__all__ = ["CHANGEABLE", "Prepared", "change_schedule", "coming", "forget_bundle", "name_of", "prepare_schedule"]

CHANGEABLE = ("expression", "timezone", "parameters", "missed", "overlap")
"""What of a schedule can be changed later, beside its being paused."""
_KEPT = ("expression", "timezone", "on_change", "missed", "overlap", "command", "webhook")
_NEXT = 3
_NAME = re.compile(r"[\w.-]+( [\w.-]+)*")


@dataclass(frozen=True, slots=True)
class Prepared:
    """The fields of the record, sentences for the person, and the folder that holds the bundle and nothing of another
    schedule: it goes where the record cannot be written."""

    facts: dict[str, Any]
    notes: list[str]
    folder: Path


def name_of(wanted: WantedSchedule) -> str:
    """What the schedule is called."""
    return wanted.name or Path(wanted.path).stem


def prepare_schedule(wanted: WantedSchedule, settings: Settings, before: ScheduleRecord | None = None) -> Prepared:
    """What is to be recorded, of a new schedule or of the one that was there ``before`` (then only what changes); the
    bundle is in its place. Raises UsageError."""
    path = Path(wanted.path).expanduser()
    if not path.is_absolute():
        raise UsageError(f"the whole path is needed: {wanted.path}")
    facts = _checked(wanted if before is None else _as_before(wanted, before, settings), path)
    if before is None:
        folder = Path(settings.schedules) / f"{_slug(facts['name'])}-{secrets.token_hex(4)}"
        bundle = folder / "bundle"
    else:
        # Beside the one that it replaces: runs of that go on, and their logs stay.
        folder = bundle = Path(before.bundle).with_name(f"bundle-{secrets.token_hex(4)}")
    unfinished = folder.with_name(f".{folder.name}")
    try:
        unfinished.mkdir(mode=0o700, parents=before is None)
        inside = unfinished / bundle.relative_to(folder)
        notes = put_bundle(path, inside, wanted.include, Path(before.bundle) if before else None)
        facts["parameters"], said = _parameters(wanted, before, read_bundle(inside))
        unfinished.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    facts["bundle"] = str(bundle)
    if before is None:
        return Prepared(facts, notes, folder)
    if before.state == "paused":
        said.append(f"it is paused, and stays so: cellyard schedule resume {shlex.quote(before.name)} lets it go on")
    changed = {"bundle", "notebook", "parameters", *(key for key in _KEPT if getattr(wanted, key) is not None)}
    return Prepared({key: facts[key] for key in changed}, [*notes, *said], folder)


def _as_before(wanted: WantedSchedule, before: ScheduleRecord, settings: Settings) -> WantedSchedule:
    """What is wanted, and what the schedule has where nothing is said."""
    if not Path(before.bundle).is_relative_to(settings.schedules):
        hint = "Replace it where it was made, or give another --name."
        raise UsageError(f"schedule {before.name!r} is of another engine. {hint}")
    kept = {key: getattr(before, key) for key in _KEPT if getattr(wanted, key) is None}
    if before.expression is None:
        kept.pop("timezone", None)
    return replace(wanted, **kept)


def _parameters(
    wanted: WantedSchedule, before: ScheduleRecord | None, bundle: Bundle
) -> tuple[dict[str, Any], list[str]]:
    """Those of before that there still are, and those that are given; sentences on the others. Raises UsageError."""
    known = {each.name for each in bundle.parameters}
    former = before.parameters if before else {}
    kept = {name: value for name, value in former.items() if name in known}
    notes = [
        f"it has no parameter {name} any more: its {value!r} is left out"
        for name, value in former.items()
        if name not in known
    ]
    found = {**kept, **(wanted.parameters or {})}
    parameter_values(bundle.parameters, found)
    return found, notes


def change_schedule(schedule: ScheduleRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the record that change; ``changes`` are of those in CHANGEABLE. Raises UsageError."""
    before = {key: getattr(schedule, key) for key in ("name", "on_change", *CHANGEABLE)}
    wanted = WantedSchedule(path=schedule.notebook, **{**before, **changes})
    if wanted.expression is None:
        wanted = replace(wanted, timezone=None)
    facts = _checked(wanted, Path(schedule.notebook))
    parameter_values(read_bundle(Path(schedule.bundle)).parameters, facts["parameters"])
    return {key: facts[key] for key in CHANGEABLE}


def forget_bundle(schedule: ScheduleRecord, settings: Settings) -> None:
    """Take the schedule's folder away, with its logs."""
    folder = Path(schedule.bundle).parent
    if folder.parent == Path(settings.schedules):
        shutil.rmtree(folder, ignore_errors=True)


def coming(schedule: ScheduleRecord) -> list[str]:
    """The next times, as ISO 8601 in the schedule's own zone."""
    if schedule.expression is None or schedule.state != "active":
        return []
    times = Schedule(schedule.expression, schedule.timezone).next(_NEXT, after=datetime.now(UTC))
    return [each.isoformat() for each in times]


def _checked(wanted: WantedSchedule, path: Path) -> dict[str, Any]:
    """All that can be told without touching a disk."""
    if wanted.expression is None and not wanted.on_change:
        raise UsageError("when? Give a cron expression ('0 6 * * 1-5'), or what to watch (--on-change PATH).")
    if wanted.timezone and wanted.expression is None:
        raise UsageError("a time zone is of use only with a cron expression.")
    cron = parse_schedule(wanted.expression, wanted.timezone) if wanted.expression is not None else None
    policies = {"missed": wanted.missed or "once", "overlap": wanted.overlap or "skip"}
    for key, known in (("missed", MISSED), ("overlap", OVERLAPS)):
        if policies[key] not in known:
            raise UsageError(f"{key} is one of {', '.join(known)}, not {policies[key]!r}.")
    name = name_of(wanted)
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise UsageError(f"{name!r} makes no name for a schedule (letters, digits, . _ -): give one with --name.")
    return {
        "name": name,
        "notebook": str(path),
        "expression": cron.expression if cron else None,
        "timezone": cron.timezone if cron else "Etc/UTC",
        "on_change": [_absolute(each) for each in wanted.on_change or ()],
        "parameters": dict(wanted.parameters or {}),
        **policies,
        "command": wanted.command,
        "webhook": _shown_address(wanted.webhook),
        "owner": wanted.owner,
    }


def _absolute(text: str) -> str:
    watched = parse_watched(text)
    return watched.path or watched.text


def _shown_address(address: str | None) -> str | None:
    """Where a webhook leads, without what makes it a secret."""
    if address is None:
        return None
    parts = urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("a webhook is an http:// or https:// address.")
    return f"{parts.scheme}://{parts.hostname}"


def _slug(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")[:40] or "schedule"
