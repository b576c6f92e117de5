"""Scheduling: what is asked for made into a schedule, with a bundle of its own in the engine's folder."""

from __future__ import annotations

import re
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cellyard.errors import UsageError
from cellyard.exporters.bundle_reading import is_bundle, read_bundle
from cellyard.exporters.bundling import content_of, make_bundle, write_export
from cellyard.notebook.parameters import parameter_values
from cellyard.records import ScheduleRecord
from cellyard.schedules.cron import Schedule, parse_schedule
from cellyard.schedules.deciding import MISSED, OVERLAPS
from cellyard.schedules.wanted import WantedSchedule
from cellyard.schedules.watching import parse_watched
from cellyard.settings import Settings

__all__ = ["CHANGEABLE", "change_schedule", "coming", "forget_bundle", "prepare_schedule"]

CHANGEABLE = ("expression", "timezone", "parameters", "missed", "overlap")
"""What of a schedule can be changed later, beside its being paused."""
_NEXT = 3
_NAME = re.compile(r"[\w.-]+( [\w.-]+)*")


def prepare_schedule(wanted: WantedSchedule, settings: Settings) -> tuple[dict[str, Any], list[str]]:
    """The fields of the record, and sentences for the person; the bundle is in its place. Raises UsageError."""
    path = Path(wanted.path).expanduser()
    if not path.is_absolute():
        raise UsageError(f"the whole path is needed: {wanted.path}")
    facts = _checked(wanted, path)
    folder = Path(settings.schedules) / f"{_slug(facts['name'])}-{secrets.token_hex(4)}"
    unfinished = folder.with_name(f".{folder.name}")
    try:
        unfinished.mkdir(mode=0o700, parents=True)
        notes = _put_bundle(path, unfinished / "bundle", wanted.include)
        bundle = read_bundle(unfinished / "bundle")
        parameter_values(bundle.parameters, wanted.parameters)
        unfinished.rename(folder)
    except OSError as error:
        raise UsageError(f"{folder} cannot be made: {error.strerror or error}") from error
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return {**facts, "bundle": str(folder / "bundle")}, notes


def change_schedule(schedule: ScheduleRecord, changes: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of the record that change; ``changes`` are of those in CHANGEABLE. Raises UsageError."""
    before = {key: getattr(schedule, key) for key in ("name", "on_change", *CHANGEABLE)}
    wanted = WantedSchedule(path=schedule.notebook, **{**before, **changes})
    if wanted.expression is None:
        wanted = replace(wanted, timezone=None)
    facts = _checked(wanted, Path(schedule.notebook))
    parameter_values(read_bundle(Path(schedule.bundle)).parameters, wanted.parameters)
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
    for key, known in (("missed", MISSED), ("overlap", OVERLAPS)):
        if getattr(wanted, key) not in known:
            raise UsageError(f"{key} is one of {', '.join(known)}, not {getattr(wanted, key)!r}.")
    name = wanted.name or path.stem
    if not _NAME.fullmatch(name) or len(name) > 100:
        raise UsageError(f"{name!r} makes no name for a schedule (letters, digits, . _ -): give one with --name.")
    return {
        "name": name,
        "notebook": str(path),
        "expression": cron.expression if cron else None,
        "timezone": cron.timezone if cron else "Etc/UTC",
        "on_change": [_absolute(each) for each in wanted.on_change],
        "parameters": dict(wanted.parameters),
        "missed": wanted.missed,
        "overlap": wanted.overlap,
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


def _put_bundle(path: Path, target: Path, include: tuple[str, ...]) -> list[str]:
    if path.is_dir():
        if not is_bundle(path):
            raise UsageError(
                f"there is no bundle in {path}: cellyard export NOTEBOOK --to bundle --output DIR makes one."
            )
        if include:
            raise UsageError("files are included when a bundle is made: cellyard export ... --include FILE.")
        shutil.copytree(path, target)
        return []
    files = {_beside(Path(each), path): content_of(Path(each)) for each in include}
    # Runs use this environment, so the lock would only cost time.
    made = make_bundle(path, files, lock=False)
    write_export(made, target)
    return list(made.notes)


def _beside(file: Path, notebook: Path) -> str:
    try:
        return file.absolute().relative_to(notebook.parent).as_posix()
    except ValueError:
        return file.name


def _slug(name: str) -> str:
    return re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-")[:40] or "schedule"
