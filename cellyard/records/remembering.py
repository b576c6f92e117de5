"""Which stored values the records still speak of, and forgetting those that are thrown away."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Collection, Iterator

from sqlalchemy import Connection, Table, delete, select

from cellyard.model import TERMINAL
from cellyard.records.database import Database
from cellyard.records.schema import cached_results, events, kept_items, runs, steps

__all__ = ["RememberingRecords"]

_ID = re.compile(r'"([0-9a-f]{64})"')
_AT_ONCE = 500


class RememberingRecords:
    """The part of :class:`~cellyard.records.Records` that is about what may be thrown away."""

    _database: Database

    def references(self) -> dict[str, float]:
        """Every object of the store that is spoken of, with the time of the newest run that does; for runs that have
        not ended, and what they use, now."""
        found: dict[str, float] = {}
        with self._database.read() as connection:
            for text, when in _texts(connection):
                for id in _ID.findall(text):
                    found[id] = max(when, found.get(id, 0.0))
        return found

    def forget_results(self, ids: Collection[str]) -> int:
        """Results that need one of these objects may not be taken any more; returns how many those were."""
        gone = set(ids)
        with self._database.write() as connection:
            _forget(connection, kept_items, gone)
            return _forget(connection, cached_results, gone)


def _forget(connection: Connection, table: Table, gone: set[str]) -> int:
    """Delete the rows whose content names one of these objects; how many those were."""
    rows = connection.execute(select(table.c.id, table.c.content))
    wanted = [row.id for row in rows if not gone.isdisjoint(_ID.findall(json.dumps(row.content)))]
    for start in range(0, len(wanted), _AT_ONCE):
        connection.execute(delete(table).where(table.c.id.in_(wanted[start : start + _AT_ONCE])))
    return len(wanted)


def _texts(connection: Connection) -> Iterator[tuple[str, float]]:
    """Everything that may name an object, as text, with the time that counts for it."""
    now = time.time()
    times = {
        row.id: row.created if row.state in TERMINAL else now
        for row in connection.execute(select(runs.c.id, runs.c.created, runs.c.state))
    }
    columns = (steps.c.run_id, steps.c.inputs, steps.c.outputs, steps.c.error)
    for step in connection.execute(select(*columns)):
        yield json.dumps([step.inputs, step.outputs, step.error]), times.get(step.run_id, now)
    told = select(events.c.run_id, events.c.content).where(events.c.kind != "memory")
    kept = [select(table.c.run_id, table.c.content) for table in (cached_results, kept_items)]
    for query in (told, *kept):
        for run_id, content in connection.execute(query):
            yield json.dumps(content), times.get(run_id, now)
