"""Evidence: what attempts used, for whoever judges sizes and costs; and what happened inside one."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from cellyard.model import Resources
from cellyard.model.sizing import Evidence, size_at
from cellyard.records.database import Database
from cellyard.records.schema import attempts, events, runs, steps

__all__ = ["EvidenceRecords"]

_ATTEMPTS = (
    select(
        steps.c.name,
        steps.c.run_id,
        steps.c.resources,
        steps.c.inputs,
        attempts.c.state,
        attempts.c.peak_memory,
        attempts.c.cpu_seconds,
        attempts.c.started,
        attempts.c.finished,
        attempts.c.error,
    )
    .join(steps, steps.c.id == attempts.c.step_id)
    .join(runs, runs.c.id == steps.c.run_id)
    .where(runs.c.notebook == bindparam("notebook"), attempts.c.finished.is_not(None))
    .order_by(attempts.c.id.desc())
)
_CONTENTS = (
    select(events.c.kind, events.c.attempt, events.c.time, events.c.content)
    .where(
        events.c.run_id == bindparam("run"),
        events.c.step_id == bindparam("step"),
        events.c.kind.in_(bindparam("kinds", expanding=True)),
    )
    .order_by(events.c.seq)
)
_GIVEN = [update(each).where(each.c.token == bindparam("current")) for each in (attempts, steps)]
_RESIZE = update(steps).where(steps.c.id == bindparam("key"))


class EvidenceRecords:
    """The part of :class:`~cellyard.records.Records` that is about attempts: what they used, and when they started."""

    _database: Database

    def evidence(self, notebook: str, name: str | None = None, *, most: int) -> dict[str, list[Evidence]]:
        """What attempts at the notebook's steps (or one) used, at most so many of each step, the newest first."""
        with self._database.read() as connection:
            return _evidence_of(connection, notebook, name, most=most)

    def contents_of(self, run_id: int, step_id: int, kinds: Collection[str]) -> list[dict[str, Any]]:
        """The contents of a step's events of these kinds, in order, each with its kind, attempt and time."""
        with self._database.read() as connection:
            return _contents_of(connection, run_id, step_id, kinds)

    def resize_step(self, step_id: int, resources: Resources) -> None:
        """The step's next attempt gets another size."""
        with self._database.write() as connection:
            connection.execute(_RESIZE, {"key": step_id, "resources": resources.to_dict()})

    def mark_given(self, token: str, given: float) -> None:
        """The attempt with this token, if it is its step's newest, has a worker since then, or one is begun for it. An
        unknown token is ignored."""
        with self._database.write() as connection:
            for statement in _GIVEN:
                connection.execute(statement, {"current": token, "given": given})


def _evidence_of(connection: Connection, notebook: str, name: str | None, *, most: int) -> dict[str, list[Evidence]]:
    """What the attempts at each step of the notebook used (or at one), at most so many of each, the newest first. An
    attempt that ran out of memory had what its error says."""
    query = _ATTEMPTS if name is None else _ATTEMPTS.where(steps.c.name == name)
    found: dict[str, list[Evidence]] = {}
    for row in connection.execute(query.limit(most * (1 if name else 100)), {"notebook": notebook}):
        of_step = found.setdefault(row.name, [])
        if len(of_step) < most:
            of_step.append(_evidence(row))
    return found


def _contents_of(connection: Connection, run_id: int, step_id: int, kinds: Collection[str]) -> list[dict[str, Any]]:
    """The contents of a step's events of these kinds, in order, each with its kind, attempt and time."""
    wanted = {"run": run_id, "step": step_id, "kinds": list(kinds)}
    return [
        {**row.content, "kind": row.kind, "attempt": row.attempt, "time": row.time}
        for row in connection.execute(_CONTENTS, wanted)
    ]


def _evidence(row: Any) -> Evidence:
    error = row.error or {}
    resources = size_at(error, Resources.from_dict(row.resources))
    seconds = row.finished - row.started if row.started else None
    size = sum(int(each.get("size") or 0) for each in row.inputs)
    return Evidence(
        run=row.run_id,
        state=row.state,
        resources=resources,
        peak=row.peak_memory,
        cpu=row.cpu_seconds,
        seconds=seconds,
        input=size,
        failure=str(error.get("type") or ""),
    )
