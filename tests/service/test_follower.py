"""A reader that comes in the moment of a step's end gets that end."""

from __future__ import annotations

import json

import pytest

from cellyard.execution.hub import EventFilter, Hub
from cellyard.execution.journal import Journal
from cellyard.records import open_records
from cellyard.service.events import Follower, Reading


@pytest.mark.parametrize("live", [True, False])
async def test_an_end_between_reading_the_records_and_asking_whether_it_is_over_is_told(tmp_path, live):
    journal, hub = Journal(lambda: open_records(f"sqlite:///{tmp_path}/records.sqlite")), Hub()
    await journal.start()
    run = await journal.write(lambda records: records.create_run(kind="cell", notebook="n", session="s"))
    journal.note(hub.publish("output", {"n": 1}, run=run))

    async def ends_now() -> bool:
        journal.note(hub.publish("finished", {}, run=run))
        return True

    reading = Reading(
        wanted=EventFilter(run), live=live, is_last=lambda event: event.kind == "finished", is_over=ends_now
    )
    if not live:
        await ends_now()
    told = b"".join([piece async for piece in Follower(hub, journal, reading).pieces()])
    await journal.close()
    blocks = [block.split(b"data: ")[1] for block in told.split(b"\n\n") if b"data: " in block]
    assert [json.loads(each).get("kind") for each in blocks] == ["output", "finished", None]
