"""Requests, events and runs as the tests of the records make them."""

from __future__ import annotations

from cellyard.model import StepRequest, parse_step_line
from cellyard.records import EventRow

__all__ = ["event", "notebook_run", "request"]


def request(name: str = "train", *, run: int | None = None, notebook: str = "a.ipynb") -> StepRequest:
    return StepRequest(
        notebook=notebook,
        session="kernel-1",
        run=run,
        name=name,
        cell_id="c1",
        source="model = fit(df)\n",
        line="train --cpu 2",
        raw_line="train --cpu {n}",
        options=parse_step_line("train --cpu 2 --env A=b"),
        execution_count=3,
        inputs=({"id": "abc", "names": ["df"], "size": 10},),
        private="cHJpdmF0ZQ==",
        packages=("numpy",),
    )


def event(run: int, kind: str = "output", **content: object) -> EventRow:
    return EventRow(run=run, kind=kind, content=content, time=1.5)


def notebook_run(records, notebook: str = "a.ipynb") -> int:
    return records.create_run(kind="notebook", notebook=notebook, session="kernel-1", owner_pid=42)
