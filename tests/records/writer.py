"""A process that writes until it is killed: after each commit it says so. Run by test_faults."""

from __future__ import annotations

import os
import sys

from cellyard.model import StepRequest, StepState
from cellyard.records import AttemptEnd, EventRow, open_records

EVENTS_PER_STEP = 25


def main(url: str) -> None:
    """Write one whole step after the other, and print its id once it is committed."""
    with open_records(url) as records:
        for number in range(1_000_000):
            request = StepRequest(notebook="n", session="s", name=f"step{number}", source="x = 1\n" * 200)
            token = f"{os.getpid()}.{number}"
            opened = records.open_step(request, token=token)
            records.mark_running(token, pid=number)
            told = [
                EventRow(run=opened.run_id, step_id=opened.step_id, kind="output", content={"n": n}, time=1.0)
                for n in range(EVENTS_PER_STEP)
            ]
            end = AttemptEnd(
                token=token,
                state=StepState.SUCCEEDED,
                outputs=({"id": "o" * 500},),
                ends_run=True,
                events=told,
            )
            records.finish_step(end)
            print(opened.step_id, flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
