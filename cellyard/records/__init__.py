"""What happened, in SQL.

Records        everything known of runs, steps, attempts and events; :func:`open_records` opens them
RunRecord, StepRecord, AttemptRecord, Event    what reading gives
EventRow, AttemptEnd    what writing takes; EventLike is the shape of anything that can be written as an event
OpenedStep, LostWork    what some writing answers
CachedResult   a result that may be taken again
ScheduleRecord, FiringRecord    when a bundle runs, and each time that this came
RunFilter      which runs are wanted
RunOrigin, MetricPoint    who started a run and from what; one value that a run has logged
"""

from __future__ import annotations

from cellyard.records.records import Records, open_records
from cellyard.records.rows import (
    AttemptEnd,
    AttemptRecord,
    CachedResult,
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
from cellyard.records.schedule_rows import FiringRecord, ScheduleRecord
from cellyard.records.search import RunFilter

__all__ = [
    "AttemptEnd",
    "AttemptRecord",
    "CachedResult",
    "Event",
    "EventLike",
    "EventRow",
    "FiringRecord",
    "LostWork",
    "MetricPoint",
    "OpenedStep",
    "Records",
    "RunFilter",
    "RunOrigin",
    "RunRecord",
    "ScheduleRecord",
    "StepRecord",
    "open_records",
]
