"""ScheduleTable: schedules, and each time that one came, in the records. Each method is one transaction."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from cellyard.errors import NotFound, UsageError
from cellyard.records.database import Database
from cellyard.records.schedule_rows import FIRING_ENDS, FiringRecord, ScheduleRecord
from cellyard.records.schema import artifact_links, firings, run_tags, runs, schedules, steps

__all__ = ["ScheduleTable"]

_BY_NAME = select(schedules).where(schedules.c.name == bindparam("name"))
_ALL = select(schedules).order_by(schedules.c.name)
_OPEN = select(firings).where(firings.c.state.not_in(sorted(FIRING_ENDS))).order_by(firings.c.id)
_FIRING = select(firings).where(firings.c.id == bindparam("key"))
_RUN_OF = select(func.max(run_tags.c.run_id)).where(run_tags.c.tag == bindparam("tag"))
_CHANGEABLE = frozenset({"state", "considered", "seen", "expression", "timezone", "parameters", "missed", "overlap"})


class ScheduleTable:
    """The schedules of one database."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def add(self, facts: Mapping[str, Any]) -> ScheduleRecord:
        """A new schedule of these fields. Raises UsageError for a name that is taken."""
        now = time.time()
        values = {"state": "active", "seen": {}, **facts, "created": now, "considered": now}
        with self._database.write() as connection:
            if connection.execute(_BY_NAME, {"name": values["name"]}).one_or_none() is not None:
                name = shlex.quote(str(values["name"]))
                hint = "Give --replace to have it run this from now on (its history stays), or give another --name"
                remove = f"or remove it with `cellyard schedule remove {name}`"
                raise UsageError(f"there is a schedule {values['name']!r} already. {hint}, {remove}.")
            connection.execute(insert(schedules), values)
            return _by_name(connection, str(values["name"]))

    def all(self) -> list[ScheduleRecord]:
        """By name."""
        with self._database.read() as connection:
            return [_schedule(row) for row in connection.execute(_ALL)]

    def named(self, name: str) -> ScheduleRecord:
        """Raises NotFound."""
        with self._database.read() as connection:
            return _by_name(connection, name)

    def change(self, name: str, **values: Any) -> ScheduleRecord:
        """The schedule with another state, another moment up to which it was considered, other things seen, or with
        what else of it can be changed."""
        assert _CHANGEABLE.issuperset(values), values
        with self._database.write() as connection:
            _by_name(connection, name)
            connection.execute(update(schedules).where(schedules.c.name == name).values(**values))
            return _by_name(connection, name)

    def replace(self, schedule: ScheduleRecord, **values: Any) -> tuple[ScheduleRecord, ScheduleRecord]:
        """The schedule with another bundle, and with what else is given anew: as it was just before, and as it is. Its
        id, its state and its history stay. Raises NotFound, and UsageError for one that is another by now."""
        with self._database.write() as connection:
            before = _by_name(connection, schedule.name)
            if before.id != schedule.id:
                raise UsageError(f"schedule {schedule.name!r} was removed and made anew meanwhile. Ask again.")
            if "on_change" in values:
                # What is watched for the first time starts nothing, also where it was watched some time ago.
                seen = {key: form for key, form in before.seen.items() if key in values["on_change"]}
                values = {**values, "seen": seen}
            connection.execute(update(schedules).where(schedules.c.id == before.id).values(**values))
            return before, _by_name(connection, schedule.name)

    def remove(self, name: str) -> ScheduleRecord:
        """It is there no more, and neither is its history; its runs stay. Raises NotFound."""
        with self._database.write() as connection:
            found = _by_name(connection, name)
            connection.execute(delete(firings).where(firings.c.schedule_id == found.id))
            connection.execute(delete(schedules).where(schedules.c.id == found.id))
            return found

    def came(
        self,
        schedule_id: int,
        new: Sequence[Mapping[str, Any]],
        *,
        considered: float | None = None,
        seen: Mapping[str, str] | None = None,
    ) -> list[FiringRecord]:
        """These firings (due, cause, state, note), and up to when it was considered and what was seen: all or
        nothing, so that no time counts twice. None, where the schedule is gone."""
        now = time.time()
        changed = {"considered": considered, "seen": None if seen is None else dict(seen)}
        values = {key: value for key, value in changed.items() if value is not None}
        with self._database.write() as connection:
            if connection.execute(select(schedules.c.id).where(schedules.c.id == schedule_id)).scalar() is None:
                return []
            if values:
                connection.execute(update(schedules).where(schedules.c.id == schedule_id).values(**values))
            rows = [{"note": "", **each, "schedule_id": schedule_id, "created": now} for each in new]
            return [_insert(connection, row, now) for row in rows]

    def firing_changed(self, firing_id: int, **values: Any) -> FiringRecord | None:
        """The firing with these values; None when it is there no more."""
        with self._database.write() as connection:
            connection.execute(update(firings).where(firings.c.id == firing_id).values(**values))
            row = connection.execute(_FIRING, {"key": firing_id}).one_or_none()
            return None if row is None else FiringRecord(**row._mapping)

    def open_firings(self) -> list[FiringRecord]:
        """Those that wait or run, the oldest first."""
        with self._database.read() as connection:
            return [FiringRecord(**row._mapping) for row in connection.execute(_OPEN)]

    def history(self, name: str, limit: int = 20) -> list[FiringRecord]:
        """The newest first. Raises NotFound."""
        with self._database.read() as connection:
            schedule = _by_name(connection, name)
            query = select(firings).where(firings.c.schedule_id == schedule.id).order_by(firings.c.id.desc())
            return [FiringRecord(**row._mapping) for row in connection.execute(query.limit(limit))]

    def last(self) -> dict[int, FiringRecord]:
        """The newest firing of each schedule."""
        newest = select(func.max(firings.c.id)).group_by(firings.c.schedule_id)
        with self._database.read() as connection:
            found = connection.execute(select(firings).where(firings.c.id.in_(newest)))
            return {row.schedule_id: FiringRecord(**row._mapping) for row in found}

    def run_tagged(self, tag: str) -> tuple[int, str] | None:
        """The newest run with this tag, and its state."""
        with self._database.read() as connection:
            run_id = connection.execute(_RUN_OF, {"tag": tag}).scalar()
            if run_id is None:
                return None
            return run_id, connection.execute(select(runs.c.state).where(runs.c.id == run_id)).scalar_one()

    def newest_artifact(self, notebook: str, name: str) -> str | None:
        """What the newest step that succeeded in that notebook has made under this name. ``notebook``: its path, or the
        end of it."""
        whose = (runs.c.notebook == notebook) | runs.c.notebook.endswith(f"/{notebook.lstrip('/')}", autoescape=True)
        query = (
            select(artifact_links.c.artifact)
            .join(steps, steps.c.id == artifact_links.c.step_id)
            .join(runs, runs.c.id == steps.c.run_id)
            .where(artifact_links.c.name == name, artifact_links.c.role == "out", steps.c.state == "succeeded", whose)
            .order_by(artifact_links.c.step_id.desc())
            .limit(1)
        )
        with self._database.read() as connection:
            found: str | None = connection.execute(query).scalar()
            return found


def _insert(connection: Connection, row: Mapping[str, Any], now: float) -> FiringRecord:
    values = {"finished": now if row["state"] in FIRING_ENDS else None, **row}
    key = connection.execute(insert(firings), values).inserted_primary_key
    assert key is not None
    return FiringRecord(**connection.execute(_FIRING, {"key": key[0]}).one()._mapping)


def _by_name(connection: Connection, name: str) -> ScheduleRecord:
    row = connection.execute(_BY_NAME, {"name": name}).one_or_none()
    if row is None:
        raise NotFound(what=f"schedule {name!r}", hint="`cellyard schedule list` shows those that there are.")
    return _schedule(row)


def _schedule(row: Any) -> ScheduleRecord:
    return ScheduleRecord.from_dict(row._mapping)
