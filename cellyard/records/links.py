"""Links: which step read or made which artifact, and the walk along them in both directions."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, insert, select

from cellyard.records.prepared import Prepared
from cellyard.records.schema import artifact_links, steps

__all__ = ["link", "link_all"]

_INSERT = Prepared(insert(artifact_links))
_BATCH = 1000


def link(connection: Connection, step_id: int, role: str, references: Iterable[Mapping[str, Any]]) -> None:
    """The step read ("in") or made ("out") these artifacts."""
    rows = _rows(step_id, role, references)
    if rows:
        _INSERT.execute_many(connection, rows)


def link_all(connection: Connection) -> None:
    """The links of every step on record, as those before the table existed have left them in their rows."""
    found = connection.execute(select(steps.c.id, steps.c.inputs, steps.c.outputs).order_by(steps.c.id))
    for batch in found.partitions(_BATCH):
        rows = [
            row
            for step_id, inputs, outputs in batch
            for role, references in (("in", inputs), ("out", outputs))
            for row in _rows(step_id, role, references)
        ]
        if rows:
            _INSERT.execute_many(connection, rows)


def _rows(step_id: int, role: str, references: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    pairs = {(str(each["id"]), str(name)) for each in references for name in each.get("names") or ("",)}
    return [{"step_id": step_id, "role": role, "artifact": artifact, "name": name} for artifact, name in sorted(pairs)]
