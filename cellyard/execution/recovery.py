"""What an engine that starts does about the one before it, which may have ended in the middle of anything."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from cellyard.backends.base import Backend
from cellyard.execution.hub import Hub
from cellyard.execution.journal import Journal
from cellyard.execution.live import LiveStep
from cellyard.execution.owners import is_alive
from cellyard.execution.runs import OpenRuns
from cellyard.model import StepRequest, StepState

if TYPE_CHECKING:
    from cellyard.records import LostWork, Records, RunRecord, StepRecord

__all__ = ["SEQUENCE_GAP", "Survivor", "recover"]

SEQUENCE_GAP = 100_000
"""Numbers skipped at each start: an engine that was killed may have told events that it had not yet written,
and a follower that saw them must not take a new event for an old one."""
REASON = "the engine that ran it ended before it had finished"

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Survivor:
    """A step that may go on without its engine; ``number`` is that of the last of its messages that was recorded."""

    step: StepRecord
    run: RunRecord
    number: int

    @property
    def owns_run(self) -> bool:
        return self.run.kind == "cell"

    def live(self, backend: Backend) -> LiveStep:
        """The step as it goes on there."""
        step, token = self.step, str(self.step.token)
        return LiveStep(
            handle=token.partition(".")[0],
            request=self._request(),
            backend=backend,
            resources=step.resources,
            run=step.run_id,
            step_id=step.id,
            owns_run=self.owns_run,
            token=token,
            attempt=step.attempt,
            given=step.given or 0.0,
            began=step.started or 0.0,
            pid=step.pid,
            worker=step.worker,
            survived=True,
        )

    def _request(self) -> StepRequest:
        """What the records have of its request; its process state is not among that, so it cannot be tried again."""
        step = self.step
        return StepRequest(
            notebook=self.run.notebook,
            session=self.run.session,
            name=step.name,
            source=step.source,
            run=None if self.owns_run else self.run.id,
            cell_id=step.cell_id,
            line=step.line,
            raw_line=step.raw_line,
            options=replace(step.options, retries=0),
            execution_count=step.execution_count,
            inputs=step.inputs,
        )


async def recover(
    hub: Hub, journal: Journal, runs: OpenRuns, goes_on: Callable[[StepRecord], bool]
) -> tuple[Survivor, ...]:
    """Steps in flight become lost, with a finished event each, but those of which ``goes_on`` is true, which are
    returned. Runs whose owner still lives stay open: it goes on with this engine; so do those of steps that go on.
    Numbers begin above all that were ever told."""
    survivors, kept, lost, last = await journal.write(lambda records: _sort_out(records, goes_on))
    hub.start_at(last + 1)
    for run in kept:
        runs.adopt(run.id, run.owner_pid)
    if lost.steps or lost.runs:
        _log.warning("marked as lost: runs %s, steps %s", list(lost.runs), list(lost.steps))
    return survivors


def _sort_out(
    records: Records, goes_on: Callable[[StepRecord], bool]
) -> tuple[tuple[Survivor, ...], list[RunRecord], LostWork, int]:
    open_runs = {run.id: run for run in records.open_runs()}
    survivors = tuple(
        Survivor(_begun(records, step), open_runs[step.run_id], records.last_number(step.id, step.attempt))
        for step in records.open_steps()
        if step.run_id in open_runs and goes_on(step)
    )
    with_survivor = {survivor.run.id for survivor in survivors}
    of_one_step = {survivor.run.id for survivor in survivors if survivor.owns_run}
    kept = [run for run in open_runs.values() if is_alive(run.owner_pid) or run.id in with_survivor]
    first = records.last_seq() + SEQUENCE_GAP
    lost = records.mark_lost(
        REASON,
        keep_runs=[run.id for run in kept],
        keep_steps=[survivor.step.id for survivor in survivors],
        first_seq=first,
    )
    # The run of a single cell ends with its step; nobody else may join or end it.
    adopted = [run for run in kept if run.id not in of_one_step]
    return survivors, adopted, lost, first + len(lost.steps) + len(lost.runs)


def _begun(records: Records, step: StepRecord) -> StepRecord:
    """The step, which runs where its events say so: its row says so a moment later, and the engine may have ended in
    between. That message is recorded, so it is not sent again."""
    if step.state != StepState.QUEUED:
        return step
    seq = 0
    while page := records.events_since(seq, run_id=step.run_id, step_id=step.id):
        for event in page:
            if event.attempt == step.attempt and (event.kind, event.content.get("state")) == ("state", "running"):
                pid, worker = event.content["pid"], event.content["worker"]
                records.mark_running(str(step.token), pid=pid, worker=worker, started=event.time)
                return records.step(step.id)
        seq = page[-1].seq
    return step
