"""Event rows: writing events in order, and what some of them say into the tables by which it is found."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from sqlalchemy import Connection, func, insert, select

from cellyard.records.prepared import Prepared
from cellyard.records.rows import EventLike
from cellyard.records.schema import events
from cellyard.records.tracking import track

__all__ = ["append_events"]

_INSERT_EVENTS = Prepared(insert(events))
_NUMBERED_EVENTS = insert(events).returning(events.c.seq, sort_by_parameter_order=True)
_CONTINUE_NUMBERS = select(
    func.setval(func.pg_get_serial_sequence("events", "seq"), select(func.max(events.c.seq)).scalar_subquery())
)


def append_events(connection: Connection, rows: Iterable[EventLike]) -> list[int]:
    """The events' numbers, in their order. Either all of them carry numbers or none does."""
    given = list(rows)
    if not given:
        return []
    values = [_event_values(row) for row in given]
    numbers = [row.seq for row in given if row.seq is not None]
    if numbers:
        numbered = [{**value, "seq": row.seq} for value, row in zip(values, given, strict=True)]
        _INSERT_EVENTS.execute_many(connection, numbered)
        if connection.dialect.name == "postgresql":
            # Its sequence does not know of numbers that were given; SQLite goes on from the highest by itself.
            connection.execute(_CONTINUE_NUMBERS)
    else:
        numbers = list(connection.execute(_NUMBERED_EVENTS, values).scalars())
    if logged := [row for row in given if row.kind == "logged"]:
        track(connection, logged)
    return numbers


def _event_values(row: EventLike) -> dict[str, Any]:
    # The private part of an end is process state with the user's environment: for the wire alone.
    return {
        "run_id": row.run,
        "step": row.step,
        "step_id": row.step_id,
        "attempt": row.attempt,
        "time": row.time,
        "kind": row.kind,
        "content": {key: value for key, value in row.content.items() if key != "private"},
    }
