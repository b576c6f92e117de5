"""Reading: queries in, frozen rows out, inside a transaction that the caller has begun."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from sqlalchemy import Connection, Row, Select, bindparam, func, select

from cellyard.errors import NotFound
from cellyard.model import TERMINAL, Resources, RunState, StepLine, StepState
from cellyard.records.rows import AttemptRecord, Event, RunRecord, StepRecord
from cellyard.records.schema import attempts, events, runs, steps
from cellyard.records.search import RunFilter, matching
from cellyard.records.tracking import metrics_of, parameters_of, tags_of

if TYPE_CHECKING:
    # SQLAlchemy 2.1 types each column of a row; 2.0 could not even evaluate this.
    _Row: TypeAlias = Row[*tuple[Any, ...]]

__all__ = [
    "LATEST_IDS",
    "attempts_of",
    "events_since",
    "figures_of",
    "last_seq",
    "last_step",
    "latest_steps",
    "open_runs",
    "open_steps",
    "run_by_id",
    "runs_matching",
    "step_by_id",
    "step_from_row",
    "step_names",
    "step_of_token",
    "steps_of",
]


_RUN = select(runs).where(runs.c.id == bindparam("key"))
_STEP = select(steps).where(steps.c.id == bindparam("key"))
_STEP_OF_TOKEN = (
    select(steps).join(attempts, attempts.c.step_id == steps.c.id).where(attempts.c.token == bindparam("key"))
)
_STEPS_OF = select(steps).where(steps.c.run_id == bindparam("key")).order_by(steps.c.position, steps.c.id)
_ATTEMPTS_OF = select(attempts).where(attempts.c.step_id == bindparam("key")).order_by(attempts.c.number)
_LOGGED = (
    select(events.c.step, events.c.content)
    .where(events.c.run_id == bindparam("key"), events.c.kind == "logged")
    .order_by(events.c.seq)
)
_LAST_SEQ = select(func.max(events.c.seq))
_OPEN_RUNS = select(runs).where(runs.c.state.not_in(sorted(TERMINAL))).order_by(runs.c.id)
_RUN_OF_STEP = select(steps.c.run_id).where(steps.c.id == bindparam("step")).scalar_subquery()
_OPEN_STEPS = select(steps).where(steps.c.state.not_in(sorted(TERMINAL))).order_by(steps.c.id)
_LAST_STEP = (
    select(steps)
    .join(runs, runs.c.id == steps.c.run_id)
    .where(steps.c.name == bindparam("name"), runs.c.notebook == bindparam("notebook"))
    .order_by(steps.c.id.desc())
    .limit(1)
)
LATEST_IDS = (
    select(func.max(steps.c.id))
    .join(runs, runs.c.id == steps.c.run_id)
    .where(runs.c.notebook == bindparam("notebook"))
    .group_by(steps.c.name)
)
"""Of each name that a notebook has run, the newest step's."""
_LATEST_STEPS = select(steps).where(steps.c.id.in_(LATEST_IDS)).order_by(steps.c.id)
_LATEST_OF_CELLS = select(steps).where(steps.c.id.in_(LATEST_IDS.group_by(steps.c.cell_id))).order_by(steps.c.id)


def run_by_id(connection: Connection, run_id: int) -> RunRecord:
    """Raises NotFound."""
    # A larger number no database takes.
    found = connection.execute(_RUN, {"key": run_id}).one_or_none() if run_id.bit_length() < 64 else None
    if found is None:
        raise NotFound(what=f"run {run_id}", hint="`cellyard runs` shows the runs that there are.")
    return _runs(connection, [found])[0]


def runs_matching(connection: Connection, wanted: RunFilter, *, limit: int) -> list[RunRecord]:
    """The newest first."""
    return _runs(connection, connection.execute(matching(wanted, limit)).all())


def last_number(connection: Connection, step_id: int, attempt: int) -> int:
    """The largest number that a message of this attempt had; 0 when none was recorded with one."""
    of_attempt = (events.c.step_id == bindparam("step")) & (events.c.attempt == bindparam("attempt"))
    query = select(events.c.content).where(events.c.run_id == _RUN_OF_STEP, of_attempt).order_by(events.c.seq.desc())
    for content in connection.execute(query, {"step": step_id, "attempt": attempt}).scalars():
        if "number" in content:
            return int(content["number"])
    return 0


def open_runs(connection: Connection) -> list[RunRecord]:
    """Those that have not ended, the oldest first."""
    return _runs(connection, connection.execute(_OPEN_RUNS).all())


def step_by_id(connection: Connection, step_id: int) -> StepRecord:
    """Raises NotFound."""
    return _one_step(connection, _STEP, step_id, f"step {step_id}")


def step_of_token(connection: Connection, token: str) -> StepRecord:
    """The step that any of its attempts' tokens belongs to. Raises NotFound."""
    return _one_step(connection, _STEP_OF_TOKEN, token, f"step with the token {token}")


def steps_of(connection: Connection, run_id: int) -> list[StepRecord]:
    """In the order of their positions."""
    return [step_from_row(row) for row in connection.execute(_STEPS_OF, {"key": run_id})]


def step_names(connection: Connection, wanted: Collection[int]) -> dict[int, list[dict[str, str]]]:
    """The name and state of each step, in order, by run."""
    found: dict[int, list[dict[str, str]]] = {}
    if not wanted:
        return found
    # Between the first and the last: a statement cannot name ten thousand of them.
    between = steps.c.run_id.between(min(wanted), max(wanted))
    query = select(steps.c.run_id, steps.c.name, steps.c.state).where(between).order_by(steps.c.position, steps.c.id)
    asked = set(wanted)
    for run, name, state in connection.execute(query):
        if run in asked:
            found.setdefault(run, []).append({"name": name, "state": state})
    return found


def attempts_of(connection: Connection, step_id: int) -> list[AttemptRecord]:
    """The first one first."""
    return [_attempt(row) for row in connection.execute(_ATTEMPTS_OF, {"key": step_id})]


def last_step(connection: Connection, notebook: str, name: str) -> StepRecord | None:
    """The newest step of that name in any run of the notebook, in whatever state."""
    row = connection.execute(_LAST_STEP, {"notebook": notebook, "name": name}).one_or_none()
    return None if row is None else step_from_row(row)


def latest_steps(connection: Connection, notebook: str, *, by_cell: bool = False) -> list[StepRecord]:
    """The newest step of each name that the notebook has run, in the order in which they were opened; ``by_cell`` of
    each cell that has run it."""
    query = _LATEST_OF_CELLS if by_cell else _LATEST_STEPS
    return [step_from_row(row) for row in connection.execute(query, {"notebook": notebook})]


def open_steps(connection: Connection) -> list[StepRecord]:
    """Those that have not ended, the oldest first."""
    return [step_from_row(row) for row in connection.execute(_OPEN_STEPS)]


def events_since(
    connection: Connection, seq: int, *, run_id: int | None, step_id: int | None, limit: int
) -> list[Event]:
    """Those with a higher number, in its order."""
    query = select(events).where(events.c.seq > seq).order_by(events.c.seq).limit(limit)
    if run_id is not None:
        query = query.where(events.c.run_id == run_id)
    if step_id is not None:
        query = query.where(events.c.step_id == step_id)
    return [_event(row) for row in connection.execute(query)]


def figures_of(connection: Connection, run_id: int) -> list[dict[str, Any]]:
    """What events of the kind "logged" say of figures, in their order."""
    return [
        {"name": entry["name"], "data": entry["data"], "time": entry.get("time"), "step": step}
        for step, content in connection.execute(_LOGGED, {"key": run_id})
        for entry in content["entries"]
        if entry["what"] == "figure"
    ]


def last_seq(connection: Connection) -> int:
    """The highest number of any event; 0 when there are none."""
    return connection.execute(_LAST_SEQ).scalar() or 0


def _one_step(connection: Connection, query: Select[Any], key: object, what: str) -> StepRecord:
    found = connection.execute(query, {"key": key}).one_or_none()
    if found is None:
        raise NotFound(what=what, hint="")
    return step_from_row(found)


def _runs(connection: Connection, rows: Sequence[_Row]) -> list[RunRecord]:
    """The records of these rows, with what is kept of them in other tables."""
    keys = [row.id for row in rows]
    if not keys:
        return []
    tags, parameters, metrics = tags_of(connection, keys), parameters_of(connection, keys), metrics_of(connection, keys)
    return [
        _run(row, tuple(tags.get(row.id, ())), parameters=parameters.get(row.id, {}), metrics=metrics.get(row.id, {}))
        for row in rows
    ]


def _run(
    row: _Row, tags: tuple[str, ...], *, parameters: Mapping[str, Any], metrics: Mapping[str, float | str]
) -> RunRecord:
    values = dict(row._mapping)
    values["state"] = RunState(row.state)
    values["history"] = tuple(row.history.split())
    values["commit"], values["changed"] = values.pop("git_commit"), values.pop("git_changed")
    return RunRecord(**values, tags=tags, parameters=parameters, metrics=metrics)


def step_from_row(row: _Row) -> StepRecord:
    """The step that a row of all its columns holds."""
    values = dict(row._mapping)
    values["state"] = StepState(row.state)
    values["history"] = tuple(row.history.split())
    values["options"] = StepLine.from_dict(row.options)
    values["resources"] = Resources.from_dict(row.resources)
    values["inputs"] = tuple(row.inputs)
    values["outputs"] = tuple(row.outputs)
    return StepRecord(**values)


def _attempt(row: _Row) -> AttemptRecord:
    values = dict(row._mapping)
    values["state"] = StepState(row.state)
    del values["history"]
    return AttemptRecord(**values)


def _event(row: _Row) -> Event:
    values = dict(row._mapping)
    values["run"] = values.pop("run_id")
    return Event(**values)
