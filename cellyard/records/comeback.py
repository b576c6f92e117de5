"""Coming back: which steps have ended without anyone there who took what they made."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, select, update

from cellyard.model import StepState
from cellyard.records.reading import LATEST_IDS, step_from_row
from cellyard.records.rows import StepRecord
from cellyard.records.schema import attempts, runs, steps

__all__ = ["mark_taken", "take_all", "untaken"]

_OF_TOKENS = select(attempts.c.step_id).where(attempts.c.token.in_(bindparam("tokens", expanding=True)))
_TAKE = update(steps).where(steps.c.id.in_(_OF_TOKENS), steps.c.taken.is_(None))
_TAKE_ENDED = update(steps).where(steps.c.finished.is_not(None))
_WORTH_TAKING = [str(state) for state in (StepState.QUEUED, StepState.RUNNING, StepState.SUCCEEDED, StepState.FAILED)]
_UNTAKEN = (
    select(steps)
    .join(runs, runs.c.id == steps.c.run_id)
    .where(steps.c.id.in_(LATEST_IDS), runs.c.kind == "cell", steps.c.taken.is_(None), steps.c.state.in_(_WORTH_TAKING))
    .order_by(steps.c.id)
)


def mark_taken(connection: Connection, tokens: Sequence[str]) -> None:
    """What the steps of these tokens made is where it was wanted."""
    connection.execute(_TAKE, {"tokens": list(tokens), "taken": time.time()})


def untaken(connection: Connection, notebook: str) -> list[StepRecord]:
    """Of the latest steps of each name that the notebook's cells have run, those that run, or that have succeeded or
    failed and were not taken."""
    return [step_from_row(row) for row in connection.execute(_UNTAKEN, {"notebook": notebook})]


def take_all(connection: Connection) -> None:
    """What has ended before anyone kept account of it counts as taken."""
    connection.execute(_TAKE_ENDED, {"taken": time.time()})
