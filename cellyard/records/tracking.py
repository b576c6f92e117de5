"""Tracking: what people say of runs (names, tags) and what runs say of themselves (parameters, metrics).

What a run logs arrives as an event of the kind "logged"; its entries are written here in the same transaction.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import Connection, bindparam, delete, insert, select, update

from cellyard.records.rows import EventLike, MetricPoint, RunOrigin
from cellyard.records.schema import metric_points, run_metrics, run_parameters, run_tags, runs, steps

__all__ = [
    "describe",
    "metric_points_of",
    "metrics_of",
    "note_packages",
    "parameters_of",
    "tag",
    "tags_of",
    "track",
    "write_origin",
]

_LONGEST = 200
_INSERT_POINTS = insert(metric_points)
_INSERT_METRICS = insert(run_metrics)
_FORGET_METRICS = delete(run_metrics).where(
    run_metrics.c.run_id == bindparam("run"), run_metrics.c.name == bindparam("key")
)
_INSERT_PARAMETERS = insert(run_parameters)
_FORGET_PARAMETERS = delete(run_parameters).where(
    run_parameters.c.run_id == bindparam("run"), run_parameters.c.name == bindparam("key")
)
_INSERT_TAGS = insert(run_tags)
_FORGET_TAGS = delete(run_tags).where(run_tags.c.run_id == bindparam("run"), run_tags.c.tag == bindparam("key"))
_UPDATE_RUN = update(runs).where(runs.c.id == bindparam("key"))
_UPDATE_STEP = update(steps).where(steps.c.id == bindparam("key"))
_POINTS = (
    select(metric_points)
    .where(metric_points.c.run_id == bindparam("run"))
    .order_by(metric_points.c.name, metric_points.c.id)
)

Rows = dict[tuple[int, str], dict[str, Any]]


def write_origin(connection: Connection, run_id: int, origin: RunOrigin) -> None:
    """The run's tags and parameters; what else is known of its origin is part of its own row."""
    tag(connection, run_id, add=origin.tags)
    rows = {(run_id, name): _parameter(run_id, name, value) for name, value in origin.parameters.items()}
    _put(connection, _FORGET_PARAMETERS, _INSERT_PARAMETERS, rows)


def tag(connection: Connection, run_id: int, *, add: Collection[str] = (), remove: Collection[str] = ()) -> None:
    """The run has the tags of ``add`` after the call, and none of ``remove``."""
    changed = [{"run": run_id, "key": each[:_LONGEST]} for each in {*add, *remove}]
    if changed:
        connection.execute(_FORGET_TAGS, changed)
    if add:
        connection.execute(
            _INSERT_TAGS, [{"run_id": run_id, "tag": each} for each in sorted({t[:_LONGEST] for t in add})]
        )


def describe(connection: Connection, run_id: int, name: str | None) -> None:
    """The run is called so from now on; None: no name."""
    connection.execute(_UPDATE_RUN, {"key": run_id, "name": name})


def note_packages(connection: Connection, step_id: int, packages: Mapping[str, str]) -> None:
    """The step had these versions of packages."""
    connection.execute(_UPDATE_STEP, {"key": step_id, "packages": dict(packages)})


def track(connection: Connection, rows: Iterable[EventLike]) -> None:
    """Write what these events of the kind "logged" say."""
    points: list[dict[str, Any]] = []
    metrics: Rows = {}
    parameters: Rows = {}
    for row in rows:
        for entry in row.content.get("entries") or ():
            name = str(entry["name"])[:_LONGEST]
            if entry["what"] == "metric":
                point = _point(row, name, entry)
                points.append(point)
                metrics[row.run, name] = {key: point[key] for key in ("run_id", "name", "value", "word")}
            elif entry["what"] == "parameter":
                parameters[row.run, name] = _parameter(row.run, name, entry["value"])
    if points:
        connection.execute(_INSERT_POINTS, points)
    _put(connection, _FORGET_METRICS, _INSERT_METRICS, metrics)
    _put(connection, _FORGET_PARAMETERS, _INSERT_PARAMETERS, parameters)


def tags_of(connection: Connection, run_ids: Sequence[int]) -> dict[int, list[str]]:
    """By run, sorted."""
    found: dict[int, list[str]] = {}
    query = select(run_tags.c.run_id, run_tags.c.tag).where(run_tags.c.run_id.in_(run_ids)).order_by(run_tags.c.tag)
    for run_id, each in connection.execute(query):
        found.setdefault(run_id, []).append(each)
    return found


def parameters_of(connection: Connection, run_ids: Sequence[int]) -> dict[int, dict[str, Any]]:
    """By run and name."""
    found: dict[int, dict[str, Any]] = {}
    query = (
        select(run_parameters.c.run_id, run_parameters.c.name, run_parameters.c.value)
        .where(run_parameters.c.run_id.in_(run_ids))
        .order_by(run_parameters.c.name)
    )
    for run_id, name, value in connection.execute(query):
        found.setdefault(run_id, {})[name] = value
    return found


def metrics_of(connection: Connection, run_ids: Sequence[int]) -> dict[int, dict[str, float | str]]:
    """The last values, by run and name."""
    found: dict[int, dict[str, float | str]] = {}
    query = select(run_metrics).where(run_metrics.c.run_id.in_(run_ids)).order_by(run_metrics.c.name)
    for row in connection.execute(query):
        found.setdefault(row.run_id, {})[row.name] = row.word or row.value
    return found


def metric_points_of(connection: Connection, run_id: int) -> list[MetricPoint]:
    """All values of all metrics, by name and in the order in which they were logged."""
    return [
        MetricPoint(name=row.name, value=row.word or row.value, at=row.position, time=row.time, step_id=row.step_id)
        for row in connection.execute(_POINTS, {"run": run_id})
    ]


def _put(connection: Connection, forget: Any, put: Any, rows: Rows) -> None:
    """In place of what there was under these names. Not "on conflict": the two databases write it differently."""
    if not rows:
        return
    connection.execute(forget, [{"run": run_id, "key": name} for run_id, name in rows])
    connection.execute(put, list(rows.values()))


def _point(row: EventLike, name: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    value = entry["value"]
    is_number = isinstance(value, int | float) and math.isfinite(value)
    return {
        "run_id": row.run,
        "name": name,
        "step_id": row.step_id,
        "position": entry.get("at"),
        "value": float(value) if is_number else None,
        "word": None if is_number else str(value)[:8],
        "time": entry.get("time") or row.time,
    }


def _parameter(run_id: int, name: str, value: Any) -> dict[str, Any]:
    is_number = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
    text = value if isinstance(value, str) else str(value).lower() if isinstance(value, bool) else str(value)
    number = float(value) if is_number else None
    return {"run_id": run_id, "name": name[:_LONGEST], "value": value, "text": text, "number": number}
