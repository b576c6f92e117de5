"""Records: everything that is known of runs, steps, attempts and events, past and present.

Each method is one transaction. Methods may be called from any thread; the engine calls them from one.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Any, Self

from cellyard.errors import WorkerLost
from cellyard.model import Resources, RunState, StepRequest, StepState
from cellyard.records import comeback, reading, tracking, writing
from cellyard.records.caching import CachingRecords
from cellyard.records.database import Database
from cellyard.records.evidence import EvidenceRecords
from cellyard.records.lineage import lineage, resolve
from cellyard.records.moving import MovingRecords
from cellyard.records.preparing import is_prepared, prepare
from cellyard.records.remembering import RememberingRecords
from cellyard.records.rows import (
    AttemptEnd,
    AttemptRecord,
    Event,
    EventLike,
    EventRow,
    LostWork,
    MetricPoint,
    OpenedStep,
    RunOrigin,
    RunRecord,
    StepRecord,
)
from cellyard.records.schedule_table import ScheduleTable
from cellyard.records.search import RunFilter

__all__ = ["BUSY_TIMEOUT", "Records", "open_records"]

BUSY_TIMEOUT = 5.0
"""Seconds to wait for another process's write."""


def open_records(url: str, *, busy_timeout: float = BUSY_TIMEOUT, as_engine: bool = False) -> Records:
    """The records behind an SQLAlchemy URL; a file, its folder and the tables are made where missing.

    Raises RecordsError when the database cannot be used or was written by a newer schema version, RecordsLocked when
    tables have to be made and another process holds the database, RecordsInUse for a second one ``as_engine``.
    """
    database = Database(url, busy_timeout=busy_timeout)
    try:
        if as_engine:
            database.claim()
        # Asked first without the writer's lock: whoever only reads must not wait for whoever writes.
        with database.read() as connection:
            prepared = is_prepared(connection)
        if not prepared:
            with database.write() as connection:
                prepare(connection)
    except BaseException:
        database.close()
        raise
    return Records(database)


class Records(CachingRecords, EvidenceRecords, MovingRecords, RememberingRecords):
    """The runs of one database. All writing methods raise RecordsLocked when another process holds the
    database for longer than the busy timeout, and RecordsError for a full disk or a damaged file; nothing has
    then been written. A change that ``model.states`` does not have raises IllegalState."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.schedules = ScheduleTable(database)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, where: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    # -- writing: runs and steps

    def create_run(
        self,
        *,
        kind: str,
        notebook: str,
        session: str,
        owner_pid: int | None = None,
        state: str | None = None,
        origin: RunOrigin | None = None,
    ) -> int:
        """A new run's id. ``kind`` is "cell" (queued until its step runs) or "notebook" (running at once, for
        its owner drives it); ``state`` says otherwise."""
        first = RunState(state) if state else RunState.RUNNING if kind == "notebook" else RunState.QUEUED
        with self._database.write() as connection:
            return writing.insert_run(
                connection,
                kind=kind,
                notebook=notebook,
                session=session,
                state=first,
                owner_pid=owner_pid,
                origin=origin,
            )

    def create_ended_run(self, *, notebook: str, session: str, owner: str | None, commit: str | None) -> int:
        """The id of a run without steps, which is over: what a plain cell logs has its place there."""
        with self._database.write() as connection:
            run_id = writing.insert_run(
                connection,
                kind="cell",
                notebook=notebook,
                session=session,
                state=RunState.RUNNING,
                origin=RunOrigin(owner=owner, commit=commit),
            )
            writing.move_run(connection, run_id, RunState.SUCCEEDED, None)
            return run_id

    def create_step(
        self,
        run_id: int,
        request: StepRequest,
        *,
        position: int | None = None,
        resources: Resources | None = None,
    ) -> int:
        """A new, queued step's id, in a run that is open. ``resources``: what it gets, when that is not what it
        asks for. The request's ``private`` part is not recorded. Raises NotFound."""
        with self._database.write() as connection:
            return writing.insert_step(connection, run_id, request, position=position, resources=resources)

    def open_step(
        self,
        request: StepRequest,
        *,
        token: str,
        resources: Resources | None = None,
        packages: Mapping[str, str] | None = None,
    ) -> OpenedStep:
        """Run (unless the request joins one), step and first attempt in one commit. ``packages``: the versions that it
        has, where they are known already. Raises NotFound."""
        with self._database.write() as connection:
            return writing.open_step(connection, request, token=token, resources=resources, packages=packages)

    def start_attempt(self, step_id: int, token: str) -> int:
        """A further attempt's number; the step is queued, and from now on only this token may commit. An
        attempt that was live becomes lost. Raises NotFound."""
        with self._database.write() as connection:
            return writing.start_attempt(connection, step_id, token)

    def mark_running(
        self,
        token: str,
        *,
        pid: int | None = None,
        worker: str | None = None,
        started: float | None = None,
        given: float | None = None,
    ) -> bool:
        """The attempt with its step (and its run, where that was queued) runs; False, and nothing written, when
        the token is not current or its attempt is no longer queued."""
        with self._database.write() as connection:
            values = {"pid": pid, "worker": worker, "started": started, "given": given}
            return writing.mark_running(connection, token, values)

    def finish_step(self, end: AttemptEnd) -> bool:
        """The commit point: attempt and step end, with ``end.ends_run`` their run too, and ``end.events`` are
        written, all or nothing. False, and nothing written, when the token is not current."""
        with self._database.write() as connection:
            return writing.end_attempt(connection, end)

    def retry_step(self, end: AttemptEnd, *, token: str) -> bool:
        """The attempt ends, and its step is queued again with a new attempt of the given token. False, and
        nothing written, when ``end.token`` is not current."""
        with self._database.write() as connection:
            return writing.end_attempt(connection, end, next_token=token)

    def finish_run(
        self,
        run_id: int,
        state: str,
        *,
        error: Mapping[str, Any] | None = None,
        events: Iterable[EventLike] = (),
    ) -> bool:
        """The run has ended, and the events are written with it. False, and nothing written, when it had
        already ended in this state. Its steps are the caller's concern. Raises NotFound."""
        with self._database.write() as connection:
            moved = writing.move_run(connection, run_id, RunState(state), error)
            if moved:
                writing.append_events(connection, events)
            return moved

    def mark_lost(
        self,
        reason: str,
        *,
        keep_runs: Collection[int] = (),
        keep_steps: Collection[int] = (),
        first_seq: int | None = None,
    ) -> LostWork:
        """Every step that has not ended becomes lost, and every open run, but those kept: what an engine that
        starts says of the one before it. Writes a finished event for each step and a state event for each run,
        so that whoever replays them sees the end; numbered from ``first_seq`` on, where one is given."""
        error = {"type": "WorkerLost", "message": reason, "traceback": []}
        with self._database.write() as connection:
            lost_steps = [step for step in reading.open_steps(connection) if step.id not in keep_steps]
            lost_runs = [run for run in reading.open_runs(connection) if run.id not in keep_runs]
            for step in lost_steps:
                writing.end_step(connection, step.id, StepState.LOST, _loss(step, reason))
            for run in lost_runs:
                writing.move_run(connection, run.id, RunState.LOST, error)
            told = [_lost_step(step, _loss(step, reason)) for step in lost_steps] + [
                _lost_run(run, error) for run in lost_runs
            ]
            if first_seq is not None:
                told = [replace(event, seq=seq) for seq, event in enumerate(told, first_seq)]
            writing.append_events(connection, told)
        return LostWork(tuple(run.id for run in lost_runs), tuple(step.id for step in lost_steps))

    def mark_taken(self, tokens: Sequence[str]) -> None:
        """Kernels have taken over what the steps of these tokens made."""
        with self._database.write() as connection:
            comeback.mark_taken(connection, tokens)

    def untaken(self, notebook: str) -> list[StepRecord]:
        """The newest steps that the notebook's cells have begun: those that run, and those that have ended and were not
        taken over by any kernel."""
        with self._database.read() as connection:
            return comeback.untaken(connection, notebook)

    def append_events(self, events: Iterable[EventLike]) -> list[int]:
        """The events' numbers. Their content's ``private`` key is not written."""
        with self._database.write() as connection:
            return writing.append_events(connection, events)

    # -- what people say of runs

    def label_run(
        self, run_id: int, *, add: Collection[str] = (), remove: Collection[str] = (), name: str | None = None
    ) -> RunRecord:
        """The run with these tags added and removed, and with that name, if one is given (an empty one takes the name
        away). Raises NotFound."""
        with self._database.write() as connection:
            reading.run_by_id(connection, run_id)
            tracking.tag(connection, run_id, add=add, remove=remove)
            if name is not None:
                tracking.describe(connection, run_id, name or None)
            return reading.run_by_id(connection, run_id)

    def note_packages(self, step_id: int, packages: Mapping[str, str]) -> None:
        """The step had these versions of packages."""
        with self._database.write() as connection:
            tracking.note_packages(connection, step_id, packages)

    # -- reading

    def lineage(self, artifact: str, *, upward: bool = True, downward: bool = True) -> dict[str, Any]:
        """What led to an artifact and what it led to; it is named as ``lineage.resolve`` takes it. Raises NotFound, and
        UsageError where several are meant."""
        with self._database.read() as connection:
            found = resolve(connection, artifact)
            return lineage(connection, found, upward=upward, downward=downward).to_dict()

    def figures(self, run_id: int) -> list[dict[str, Any]]:
        """The figures that a run has logged, in order: name, data by type, time, step."""
        with self._database.read() as connection:
            return reading.figures_of(connection, run_id)

    def metric_points(self, run_id: int) -> list[MetricPoint]:
        """All values of all metrics of a run, by name and in the order in which they were logged."""
        with self._database.read() as connection:
            return tracking.metric_points_of(connection, run_id)

    def run(self, run_id: int) -> RunRecord:
        """Raises NotFound."""
        with self._database.read() as connection:
            return reading.run_by_id(connection, run_id)

    def runs(self, limit: int = 50, wanted: RunFilter | None = None) -> list[RunRecord]:
        """Those that fit, the newest first."""
        with self._database.read() as connection:
            return reading.runs_matching(connection, wanted or RunFilter(), limit=limit)

    def open_runs(self) -> list[RunRecord]:
        """The runs that have not ended, the oldest first."""
        with self._database.read() as connection:
            return reading.open_runs(connection)

    def open_steps(self) -> list[StepRecord]:
        """The steps that have not ended, the oldest first."""
        with self._database.read() as connection:
            return reading.open_steps(connection)

    def last_number(self, step_id: int, attempt: int) -> int:
        """The number of the last recorded message of an attempt, for backends that number them; else 0."""
        with self._database.read() as connection:
            return reading.last_number(connection, step_id, attempt)

    def step(self, step_id: int) -> StepRecord:
        """Raises NotFound."""
        with self._database.read() as connection:
            return reading.step_by_id(connection, step_id)

    def step_of_token(self, token: str) -> StepRecord:
        """The step that one of whose attempts has this token. Raises NotFound."""
        with self._database.read() as connection:
            return reading.step_of_token(connection, token)

    def steps(self, run_id: int) -> list[StepRecord]:
        """The steps of a run, in order; none for a run that does not exist."""
        with self._database.read() as connection:
            return reading.steps_of(connection, run_id)

    def step_names(self, runs: Collection[int]) -> dict[int, list[dict[str, str]]]:
        """By run: the name and state of each of its steps, in order; a run without steps is left out."""
        with self._database.read() as connection:
            return reading.step_names(connection, runs)

    def attempts(self, step_id: int) -> list[AttemptRecord]:
        """The attempts at a step, the first one first."""
        with self._database.read() as connection:
            return reading.attempts_of(connection, step_id)

    def last_step(self, notebook: str, name: str) -> StepRecord | None:
        """The newest step of that name in any run of the notebook, in whatever state."""
        with self._database.read() as connection:
            return reading.last_step(connection, notebook, name)

    def latest_steps(self, notebook: str, *, by_cell: bool = False) -> list[StepRecord]:
        """The newest step of each name that the notebook has run, in the order in which they were opened; ``by_cell``
        of each cell that has run it."""
        with self._database.read() as connection:
            return reading.latest_steps(connection, notebook, by_cell=by_cell)

    def events_since(
        self, seq: int, *, run_id: int | None = None, step_id: int | None = None, limit: int = 1000
    ) -> list[Event]:
        """At most ``limit`` events with a number above ``seq``, in order."""
        with self._database.read() as connection:
            return reading.events_since(connection, seq, run_id=run_id, step_id=step_id, limit=limit)

    def last_seq(self) -> int:
        """The number of the newest event; 0 when there is none."""
        with self._database.read() as connection:
            return reading.last_seq(connection)


def _loss(step: StepRecord, reason: str) -> dict[str, Any]:
    worker = step.worker or "of the engine"
    hint = f"{reason[:1].upper()}{reason[1:]}. Execute the cell again."
    return WorkerLost(step=step.name, worker=worker, hint=hint).to_step_error()


def _lost_step(step: StepRecord, error: Mapping[str, Any]) -> EventRow:
    now = time.time()
    content = {
        "state": "lost",
        "attempt": step.attempt,
        "outputs": [],
        "deleted": [],
        "result": None,
        "error": dict(error),
        "peak_memory": step.peak_memory or 0,
        "cpu_seconds": 0.0,
        "seconds": max(0.0, now - step.started) if step.started else 0.0,
        "time": now,
    }
    return EventRow(
        run=step.run_id,
        step=step.name,
        step_id=step.id,
        attempt=step.attempt,
        time=now,
        kind="finished",
        content=content,
    )


def _lost_run(run: RunRecord, error: Mapping[str, Any]) -> EventRow:
    content = {"state": "lost", "error": dict(error)}
    return EventRow(run=run.id, time=time.time(), kind="state", content=content)
