"""Writing: what each change does to the tables, inside a transaction that the caller has begun.

States change only along ``model.states``; a refused change raises before anything is written, and the caller's
transaction is undone.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, bindparam, func, insert, select, update

from cellyard.errors import NotFound
from cellyard.model import Resources, RunState, StepRequest, StepState, check_move, is_terminal
from cellyard.records.event_rows import append_events
from cellyard.records.links import link
from cellyard.records.prepared import Prepared
from cellyard.records.rows import AttemptEnd, OpenedStep, RunOrigin
from cellyard.records.schema import attempts, cached_results, runs, steps
from cellyard.records.tracking import write_origin

__all__ = [
    "append_events",
    "end_attempt",
    "end_step",
    "insert_run",
    "insert_step",
    "mark_running",
    "move_run",
    "open_step",
    "start_attempt",
    "step_by_id",
]


class _Run(NamedTuple):
    """The part of a row that changes are made by; likewise below."""

    id: int
    state: str
    history: str
    started: float | None


class _Step(NamedTuple):
    id: int
    run_id: int
    name: str
    state: str
    history: str
    attempt: int
    token: str | None
    started: float | None
    peak_memory: int | None


class _Attempt(NamedTuple):
    id: int
    step_id: int
    state: str
    history: str
    started: float | None


# Statements are built once: building one costs more than executing it.
_INSERT_RUN = Prepared(insert(runs))
_INSERT_STEP = Prepared(insert(steps))
_INSERT_ATTEMPT = Prepared(insert(attempts))
_KEEP = Prepared(insert(cached_results))
_RUN_COLUMNS = [runs.c[name] for name in _Run._fields]
_STEP_COLUMNS = [steps.c[name] for name in _Step._fields]
_ATTEMPT_COLUMNS = [attempts.c[name] for name in _Attempt._fields]
_RUN = select(*_RUN_COLUMNS).where(runs.c.id == bindparam("key"))
_STEP = select(*_STEP_COLUMNS).where(steps.c.id == bindparam("key"))
_ATTEMPT = select(*_ATTEMPT_COLUMNS).where(attempts.c.token == bindparam("key"))
# An attempt with its step and that step's run.
_CURRENT = (
    select(*_ATTEMPT_COLUMNS, *_STEP_COLUMNS, *_RUN_COLUMNS)
    .join_from(attempts, steps, attempts.c.step_id == steps.c.id)
    .join(runs, steps.c.run_id == runs.c.id)
    .where(attempts.c.token == bindparam("key"))
)
_STEP_AT, _RUN_AT = len(_ATTEMPT_COLUMNS), len(_ATTEMPT_COLUMNS) + len(_STEP_COLUMNS)
_NEXT_POSITION = select(func.coalesce(func.max(steps.c.position) + 1, 0)).where(steps.c.run_id == bindparam("key"))
_UPDATE_RUN = Prepared(update(runs).where(runs.c.id == bindparam("key")))
_UPDATE_STEP = Prepared(update(steps).where(steps.c.id == bindparam("key")))
_UPDATE_ATTEMPT = Prepared(update(attempts).where(attempts.c.id == bindparam("key")))

Values = dict[str, Any]


def insert_run(
    connection: Connection,
    *,
    kind: str,
    notebook: str,
    session: str,
    state: RunState,
    owner_pid: int | None = None,
    origin: RunOrigin | None = None,
) -> int:
    """A new run's id."""
    check_move((), state)
    now = time.time()
    origin = origin or RunOrigin()
    values = {
        "kind": kind,
        "notebook": notebook,
        "session": session,
        "state": str(state),
        "history": str(state),
        "created": now,
        "started": now if state is RunState.RUNNING else None,
        "owner_pid": owner_pid,
        "name": origin.name,
        "owner": origin.owner,
        "git_commit": origin.commit,
        "git_changed": origin.changed,
        "resumes": origin.resumes,
    }
    run_id = _INSERT_RUN.execute(connection, values)
    if origin.tags or origin.parameters:
        write_origin(connection, run_id, origin)
    return run_id


def insert_step(
    connection: Connection,
    run_id: int,
    request: StepRequest,
    *,
    position: int | None = None,
    resources: Resources | None = None,
    packages: Mapping[str, str] | None = None,
    token: str | None = None,
) -> int:
    """A new step's id, in a run that is open. ``position`` None: after the run's other steps. ``token``: that of its
    first attempt, where it has one.

    Never written: the request's ``private`` part.
    """
    run = _run_by_id(connection, run_id)
    if is_terminal(run.state):
        check_move(run.history.split(), RunState.RUNNING, what=f"run {run_id}")
    if position is None:
        position = connection.execute(_NEXT_POSITION, {"key": run_id}).scalar_one()
    return _new_step(connection, run_id, request, position, resources, packages, token)


def open_step(
    connection: Connection,
    request: StepRequest,
    *,
    token: str,
    resources: Resources | None = None,
    packages: Mapping[str, str] | None = None,
) -> OpenedStep:
    """A step with its first attempt; with a run of its own unless the request names one."""
    if request.run is not None:
        run_id = request.run
        step_id = insert_step(connection, run_id, request, resources=resources, packages=packages, token=token)
    else:
        run_id = insert_run(
            connection,
            kind="cell",
            notebook=request.notebook,
            session=request.session,
            state=RunState.QUEUED,
            origin=RunOrigin(owner=request.owner, commit=request.commit),
        )
        step_id = _new_step(connection, run_id, request, 0, resources, packages, token)
    return OpenedStep(run_id, step_id)


def start_attempt(connection: Connection, step_id: int, token: str) -> int:
    """A further attempt's number. From now on only its token counts: an attempt that was still live is lost,
    and its step queued again."""
    step = step_by_id(connection, step_id)
    if step.state != StepState.QUEUED:
        _change_step(connection, step, [StepState.QUEUED], {"started": None, "finished": None})
    _lose_live_attempt(connection, step.token)
    number = step.attempt + 1
    _insert_attempt(connection, step_id, number=number, token=token)
    _UPDATE_STEP.execute(connection, {"key": step_id, "attempt": number, "token": token, "given": None})
    return number


def mark_running(connection: Connection, token: str, values: Mapping[str, Any]) -> bool:
    """The attempt with its step, and its run where that was queued, run now. ``values``: pid, worker, given, started.

    False, and nothing is written, when the token is not the current one or its attempt has ended or runs.
    """
    found = _current(connection, token)
    if found is None:
        return False
    attempt, step, run = found
    if attempt.state != StepState.QUEUED:
        return False
    started = values.get("started") or time.time()
    facts = {"pid": values.get("pid"), "worker": values.get("worker"), "started": started}
    if values.get("given"):
        facts["given"] = values["given"]
    _change_attempt(connection, attempt, [StepState.RUNNING], facts)
    _change_step(connection, step, [StepState.RUNNING], facts)
    if run.state == RunState.QUEUED:
        _change_run(connection, run, [RunState.RUNNING], {"started": started})
    return True


def end_attempt(connection: Connection, end: AttemptEnd, *, next_token: str | None = None) -> bool:
    """The attempt ends; its step with it, or, with a ``next_token``, goes back to queued with a new attempt.

    False, and nothing is written, when the token is not the current one or its attempt has ended.
    """
    found = _current(connection, end.token)
    if found is None:
        return False
    attempt, step, run = found
    if end.started is not None and attempt.state == StepState.QUEUED:
        if next_token is not None:
            mark_running(connection, end.token, {"pid": end.pid, "worker": end.worker, "started": end.started})
            return end_attempt(connection, end, next_token=next_token)
        # A short step: it began and ended, in one change of each row.
        through: tuple[StepState, ...] = (StepState.RUNNING, end.state)
        facts = _facts(end) | {"pid": end.pid, "worker": end.worker, "started": end.started}
    else:
        through, facts = (end.state,), _facts(end)
    _change_attempt(connection, attempt, through, facts)
    if next_token is not None:
        start_attempt(connection, step.id, next_token)
    else:
        _end_step_row(connection, step, run, end, through, facts)
    append_events(connection, end.events)
    if end.keeps is not None:
        kept = {**end.keeps, "run_id": step.run_id, "step_id": step.id, "created": time.time()}
        _KEEP.execute(connection, kept)
    return True


def end_step(connection: Connection, step_id: int, state: StepState, error: Mapping[str, Any] | None) -> None:
    """The step ends without its attempt's word; an attempt that was live ends in the same state."""
    step = step_by_id(connection, step_id)
    facts = {"finished": time.time(), "error": error}
    _change_step(connection, step, [state], facts)
    attempt = _attempt(connection, step.token)
    if attempt is not None and not is_terminal(attempt.state):
        _change_attempt(connection, attempt, [state], facts)


def move_run(connection: Connection, run_id: int, state: RunState, error: Mapping[str, Any] | None) -> bool:
    """The run changes; False when it has already ended in this very state."""
    run = _run_by_id(connection, run_id)
    if run.state == state and is_terminal(state):
        return False
    key = "finished" if is_terminal(state) else "started"
    _change_run(connection, run, [state], {key: time.time(), "error": error})
    return True


def step_by_id(connection: Connection, step_id: int) -> _Step:
    """The part of a step that changes are made by. Raises NotFound."""
    found = connection.execute(_STEP, {"key": step_id}).one_or_none()
    if found is None:
        raise NotFound(what=f"step {step_id}", hint="")
    return _Step(*found)


def _run_by_id(connection: Connection, run_id: int) -> _Run:
    found = connection.execute(_RUN, {"key": run_id}).one_or_none()
    if found is None:
        raise NotFound(what=f"run {run_id}", hint="")
    return _Run(*found)


def _attempt(connection: Connection, token: str | None) -> _Attempt | None:
    found = None if token is None else connection.execute(_ATTEMPT, {"key": token}).one_or_none()
    return None if found is None else _Attempt(*found)


def _current(connection: Connection, token: str) -> tuple[_Attempt, _Step, _Run] | None:
    """The attempt, its step and that step's run, when the attempt is the step's newest and has not ended."""
    found = connection.execute(_CURRENT, {"key": token}).one_or_none()
    if found is None:
        return None
    attempt, step, run = _Attempt(*found[:_STEP_AT]), _Step(*found[_STEP_AT:_RUN_AT]), _Run(*found[_RUN_AT:])
    has_ended = is_terminal(attempt.state) or is_terminal(step.state)
    return None if has_ended or step.token != token else (attempt, step, run)


def _new_step(
    connection: Connection,
    run_id: int,
    request: StepRequest,
    position: int,
    resources: Resources | None,
    packages: Mapping[str, str] | None,
    token: str | None,
) -> int:
    values = {
        "run_id": run_id,
        "name": request.name,
        "position": position,
        "state": str(StepState.QUEUED),
        "history": str(StepState.QUEUED),
        "source": request.source,
        "line": request.line,
        "raw_line": request.raw_line,
        "cell_id": request.cell_id,
        "execution_count": request.execution_count,
        "options": request.options.to_dict(),
        "resources": (resources or request.resources).to_dict(),
        "inputs": list(request.inputs),
        "outputs": [],
        "created": time.time(),
        "attempt": 0 if token is None else 1,
        "token": token,
        "packages": packages and dict(packages),
    }
    step_id = _INSERT_STEP.execute(connection, values)
    link(connection, step_id, "in", request.inputs)
    if token is not None:
        _insert_attempt(connection, step_id, number=1, token=token)
    return step_id


def _insert_attempt(connection: Connection, step_id: int, *, number: int, token: str) -> None:
    values = {
        "step_id": step_id,
        "number": number,
        "token": token,
        "state": str(StepState.QUEUED),
        "history": str(StepState.QUEUED),
        "created": time.time(),
    }
    _INSERT_ATTEMPT.execute(connection, values)


def _lose_live_attempt(connection: Connection, token: str | None) -> None:
    attempt = _attempt(connection, token)
    if attempt is not None and not is_terminal(attempt.state):
        _change_attempt(connection, attempt, [StepState.LOST], {"finished": time.time()})


def _facts(end: AttemptEnd) -> Values:
    return {
        "finished": end.finished or time.time(),
        "error": None if end.error is None else dict(end.error),
        "peak_memory": end.peak_memory,
        "cpu_seconds": end.cpu_seconds,
        **({"given": end.given} if end.given else {}),
    }


def _end_step_row(
    connection: Connection, step: _Step, run: _Run, end: AttemptEnd, through: Sequence[StepState], facts: Values
) -> None:
    peaks = [peak for peak in (step.peak_memory, end.peak_memory) if peak is not None]
    whole = {**facts, "outputs": [dict(each) for each in end.outputs], "peak_memory": max(peaks, default=None)}
    _change_step(connection, step, through, whole)
    link(connection, step.id, "out", end.outputs)
    states = [RunState.RUNNING] if run.state == RunState.QUEUED and len(through) > 1 else []
    moved: Values = {"started": end.started} if states else {}
    if end.ends_run:
        states.append(RunState(end.state))
        moved |= {"finished": facts["finished"], "error": facts["error"]}
    if states:
        _change_run(connection, run, states, moved)


def _change_run(connection: Connection, run: _Run, states: Sequence[RunState], values: Values) -> None:
    changed = _moved(run.history, states, f"run {run.id}")
    _UPDATE_RUN.execute(connection, {"key": run.id, **changed, **values})


def _change_step(connection: Connection, step: _Step, states: Sequence[StepState], values: Values) -> None:
    changed = _moved(step.history, states, f"step {step.name!r} of run {step.run_id}")
    _UPDATE_STEP.execute(connection, {"key": step.id, **changed, **values})


def _change_attempt(connection: Connection, attempt: _Attempt, states: Sequence[StepState], values: Values) -> None:
    changed = _moved(attempt.history, states, f"attempt {attempt.id}")
    _UPDATE_ATTEMPT.execute(connection, {"key": attempt.id, **changed, **values})


def _moved(history: str, states: Sequence[RunState | StepState], what: str) -> Values:
    """The row's new state, when each of these follows the one before it legally."""
    path = history.split()
    for state in states:
        check_move(path, state, what=what)
        path.append(str(state))
    return {"state": path[-1], "history": " ".join(path)}
