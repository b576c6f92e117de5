"""Results under their keys: what may be taken again. Inside a transaction that the caller has begun."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, func, insert, select, update

from cellyard.model import StepRequest, StepState
from cellyard.records.database import Database
from cellyard.records.rows import AttemptEnd, CachedResult, OpenedStep
from cellyard.records.schema import cached_results, kept_items, runs, steps
from cellyard.records.writing import end_attempt, open_step

__all__ = ["CachingRecords"]

_INSERT = insert(cached_results)
_NEWEST = (
    select(cached_results).where(cached_results.c.key == bindparam("key")).order_by(cached_results.c.id.desc()).limit(1)
)
_BY_RUNS = (
    select(cached_results)
    .where(cached_results.c.run_id.in_(bindparam("runs", expanding=True)))
    .order_by(cached_results.c.id)
)
_NEWEST_IDS = (
    select(func.max(cached_results.c.id))
    .where(cached_results.c.notebook == bindparam("notebook"))
    .group_by(cached_results.c.name)
)
_BY_NAME = select(cached_results).where(cached_results.c.id.in_(_NEWEST_IDS))
_INSERT_ITEMS = insert(kept_items)
_ITEMS = select(kept_items.c.content).where(kept_items.c.key == bindparam("key")).order_by(kept_items.c.id)
_FORGET_ITEMS = delete(kept_items).where(kept_items.c.key == bindparam("key"))
_REUSED = update(steps).where(steps.c.id == bindparam("key")).values(reused=bindparam("run"))


def _keep_result(connection: Connection, result: CachedResult) -> None:
    """The result may be taken from now on."""
    values = {key: getattr(result, key) for key in result.__dataclass_fields__ if key != "id"}
    connection.execute(_INSERT, values)


def _cached_by_id(connection: Connection, id: int) -> CachedResult | None:
    """The result of that number, if it is still there."""
    row = connection.execute(select(cached_results).where(cached_results.c.id == id)).one_or_none()
    return None if row is None else CachedResult(**row._mapping)


def _cached_by_name(connection: Connection, notebook: str) -> list[CachedResult]:
    """The newest result of each step of the notebook."""
    rows = connection.execute(_BY_NAME, {"notebook": notebook})
    return [CachedResult(**row._mapping) for row in rows]


def _reuse_step(connection: Connection, request: StepRequest, result: CachedResult, token: str) -> OpenedStep:
    """A step that has succeeded at once, with the outputs of an earlier one."""
    opened = open_step(connection, request, token=token)
    now = time.time()
    outputs: Sequence[Mapping[str, Any]] = result.content.get("outputs") or ()
    end = AttemptEnd(
        token=token,
        state=StepState.SUCCEEDED,
        outputs=outputs,
        started=now,
        finished=now,
        ends_run=request.run is None,
    )
    end_attempt(connection, end)
    connection.execute(_REUSED, {"key": opened.step_id, "run": result.run_id})
    return opened


def _run_chain(connection: Connection, run_id: int) -> tuple[int, ...]:
    """The run and those that it goes on from, the newest first."""
    found: list[int] = []
    wanted: int | None = run_id
    while wanted is not None and wanted not in found:
        found.append(wanted)
        wanted = connection.execute(select(runs.c.resumes).where(runs.c.id == wanted)).scalar()
    return tuple(found)


class CachingRecords:
    """The part of :class:`~cellyard.records.Records` that is about results that may be taken again."""

    _database: Database

    def keep_results(self, results: Iterable[CachedResult]) -> None:
        """Results of cells that ran in the kernel of a notebook's run may be taken from now on."""
        with self._database.write() as connection:
            for each in results:
                _keep_result(connection, each)

    def reuse_step(self, request: StepRequest, result: CachedResult, *, token: str) -> OpenedStep:
        """A step that has succeeded at once, with an earlier one's outputs; its run too, where it opens one."""
        with self._database.write() as connection:
            return _reuse_step(connection, request, result, token)

    def cached(self, key: str) -> CachedResult | None:
        """The newest result of that key."""
        with self._database.read() as connection:
            row = connection.execute(_NEWEST, {"key": key}).one_or_none()
        return None if row is None else CachedResult(**row._mapping)

    def cached_by_run(self, run_id: int) -> dict[str, CachedResult]:
        """What that run, and those that it went on from, have made, by key."""
        with self._database.read() as connection:
            rows = connection.execute(_BY_RUNS, {"runs": _run_chain(connection, run_id)})
            return {row.key: CachedResult(**row._mapping) for row in rows}

    def cached_result(self, id: int) -> CachedResult | None:
        """The result of that number, if it is still there."""
        with self._database.read() as connection:
            return _cached_by_id(connection, id)

    def keep_items(self, key: str, run_id: int, batch: Mapping[str, Any]) -> None:
        """Items of a step have made something that another try need not make again."""
        with self._database.write() as connection:
            connection.execute(_INSERT_ITEMS, {"key": key, "run_id": run_id, "content": dict(batch)})

    def kept_items(self, key: str, *, of_run: int | None = None) -> list[dict[str, Any]]:
        """What was kept under that key; with ``of_run`` by that run, or by those that it goes on from."""
        query = _ITEMS
        with self._database.read() as connection:
            if of_run is not None:
                query = _ITEMS.where(kept_items.c.run_id.in_(_run_chain(connection, of_run)))
            return list(connection.execute(query, {"key": key}).scalars())

    def forget_items(self, key: str) -> None:
        """Nobody needs them any more."""
        with self._database.write() as connection:
            connection.execute(_FORGET_ITEMS, {"key": key})

    def cached_by_name(self, notebook: str) -> dict[str, CachedResult]:
        """The newest result of each step and cell of a notebook."""
        with self._database.read() as connection:
            return {each.name: each for each in _cached_by_name(connection, notebook)}
