"""Records that another process holds: a clear error, or a wait; nothing is lost and nothing written twice."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from cellyard.errors import RecordsLocked
from tests.service.engines import Home, finished, run_step, step


@contextmanager
def held(home: Home) -> Iterator[None]:
    """The writer's lock of the records in the hands of someone else."""
    other = sqlite3.connect(home.folder / "records.sqlite", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


def test_a_step_is_refused_with_a_clear_error_and_works_afterwards(shared: Home):
    client = shared.client()
    run_step(client, "1")
    with held(shared), pytest.raises(RecordsLocked, match="locked by another process"):
        run_step(client, "2", name="refused")
    events = run_step(client, "3", name="refused")
    assert finished(events)["state"] == "succeeded"
    assert [each["source"] for each in client.notebook_steps("n.ipynb") if each["name"] == "refused"] == ["3"]


def test_reading_goes_on_meanwhile(shared: Home):
    client = shared.client()
    run_step(client, "1")
    with held(shared):
        assert client.runs(limit=1)[0]["state"] == "succeeded"


def test_a_step_that_ends_meanwhile_waits_and_is_not_lost(shared: Home):
    client = shared.client()
    stream = client.submit_step(step("import time\nprint('going', flush=True)\ntime.sleep(0.5)\nx = 5", name="waits"))
    events = [next(stream)]
    with held(shared):
        for event in stream:
            events.append(event)
            if event["kind"] == "output" and "the records cannot be written now" in event["content"].get("text", ""):
                break
        assert client.steps(events[0]["run"])[0]["state"] != "succeeded", "the fault happened"
    events += stream
    assert finished(events)["state"] == "succeeded"
    [found] = client.steps(events[0]["run"])
    assert (found["state"], found["history"]) == ("succeeded", ["queued", "running", "succeeded"])
    replayed = [each["seq"] for each in client.events(run=events[0]["run"]) if each["step_id"] is not None]
    assert replayed == [each["seq"] for each in events]
