"""The records' thread: in order, together, and nothing lost while another process holds the database."""

from __future__ import annotations

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio

from cellyard.errors import RecordsLocked
from cellyard.execution.hub import Event, EventFilter
from cellyard.execution.journal import PERIOD, Journal
from cellyard.records import open_records


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.sqlite"


@pytest_asyncio.fixture
async def journal(path) -> AsyncIterator[Journal]:
    found = Journal(lambda: open_records(f"sqlite:///{path}", busy_timeout=0.2))
    await found.start()
    await found.write(lambda records: records.create_run(kind="cell", notebook="n", session="s"))
    yield found
    await found.close()


def event(seq: int) -> Event:
    return Event(seq, 1, "s", None, 1, time.time(), "output", {"n": seq})


def written(path) -> list[int]:
    with sqlite3.connect(path) as connection:
        rows = [row[0] for row in connection.execute("select seq from events order by seq")]
    connection.close()
    return rows


async def test_events_are_written_soon_and_together(journal, path):
    for seq in (1, 2, 3):
        journal.note(event(seq))
    assert written(path) == []
    await journal.read(lambda records: time.sleep(PERIOD))
    deadline = time.monotonic() + 5
    while written(path) != [1, 2, 3] and time.monotonic() < deadline:
        await journal.read(lambda records: time.sleep(PERIOD))
    assert written(path) == [1, 2, 3]


async def test_a_write_comes_after_the_events_noted_before_it(journal, path):
    journal.note(event(1))
    seen = await journal.write(lambda records: [each.seq for each in records.events_since(0)])
    assert seen == [1]


async def test_a_read_comes_after_all_that_was_told_before_it(journal):
    journal.note(event(1))
    journal.soon(lambda records: records.append_events([replace(event(2), kind="state")]))
    journal.soon(lambda records: records.append_events([event(3)])).cancel()
    assert await journal.read(lambda records: [each.seq for each in records.events_since(0)]) == [1, 2]


async def test_what_is_to_be_written_soon_is_written_once(journal, path):
    journal.soon(lambda records: records.append_events([event(1)])).cancel()
    journal.soon(lambda records: records.append_events([event(2)]))
    deadline = time.monotonic() + 5
    while written(path) != [2] and time.monotonic() < deadline:
        await asyncio.sleep(PERIOD)
    assert written(path) == [2]
    assert await journal.read(lambda records: [each.seq for each in records.events_since(0)]) == [2]


async def test_errors_of_a_job_are_raised_where_it_was_asked_for(journal):
    with pytest.raises(ZeroDivisionError):
        await journal.read(lambda records: 1 / 0)
    assert await journal.read(lambda records: records.last_seq()) == 0


async def test_what_can_never_be_written_holds_up_nothing(journal, path):
    tried: list[str] = []

    def fail(records):
        tried.append("once")
        raise ValueError("a value that nothing can hold")

    journal.note(event(1))
    journal.post(fail)
    journal.note(event(2))
    await journal.flush()
    assert (tried, written(path)) == (["once"], [1, 2])


async def test_of_events_that_are_written_together_only_the_one_is_left_out_that_no_record_can_hold(journal, path):
    journal.note(event(1))
    journal.note(replace(event(2), seq=1 << 70))
    journal.note(event(3))
    await journal.flush()
    assert written(path) == [1, 3]


async def test_taken_events_may_be_given_back(journal, path):
    journal.note(event(1))
    journal.note(event(2))
    mine = journal.take()
    journal.note(event(3))
    journal.give_back(mine)
    await journal.flush()
    assert written(path) == [1, 2, 3]


async def test_what_cannot_be_written_is_kept_and_written_later(journal, path):
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    journal.note(event(1))
    with pytest.raises(RecordsLocked):
        await journal.flush()
    journal.post(lambda records: records.append_events([event(2)]))
    journal.note(event(3))
    with pytest.raises(RecordsLocked):
        await journal.flush()
    other.execute("ROLLBACK")
    other.close()
    await journal.flush()
    assert written(path) == [1, 2, 3]
    found = await journal.events(1, EventFilter(run=1), limit=10)
    assert [each.seq for each in found] == [2, 3]
