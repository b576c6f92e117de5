"""What an engine that starts does about the one before it, which may have ended in the middle of anything."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from cellyard.execution.hub import Hub
from cellyard.execution.journal import Journal
from cellyard.execution.owners import is_alive
from cellyard.execution.runs import OpenRuns

if TYPE_CHECKING:
    from cellyard.records import LostWork, Records, RunRecord

__all__ = ["SEQUENCE_GAP", "recover"]

SEQUENCE_GAP = 100_000
"""Numbers skipped at each start: an engine that was killed may have told events that it had not yet written,
and a follower that saw them must not take a new event for an old one."""
REASON = "the engine that ran it ended before it had finished"

_log = logging.getLogger(__name__)


async def recover(hub: Hub, journal: Journal, runs: OpenRuns) -> None:
    """Steps in flight become lost, with a finished event each. Runs whose owner still lives stay open: it goes
    on with this engine. Numbers begin above all that were ever told."""
    kept, lost, last = await journal.write(_mark_lost)
    hub.start_at(last + 1)
    for run in kept:
        runs.adopt(run.id, run.owner_pid)
    if lost.steps or lost.runs:
        _log.warning("marked as lost: runs %s, steps %s", list(lost.runs), list(lost.steps))


def _mark_lost(records: Records) -> tuple[list[RunRecord], LostWork, int]:
    kept = [run for run in records.open_runs() if is_alive(run.owner_pid)]
    first = records.last_seq() + SEQUENCE_GAP
    lost = records.mark_lost(REASON, keep_runs=[run.id for run in kept], first_seq=first)
    return kept, lost, first + len(lost.steps) + len(lost.runs)
