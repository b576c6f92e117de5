"""Faults: a database that is held, damaged, full, newer or out of reach; a writer that is killed.

Each test first asserts that its fault is there.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from cellyard.errors import RecordsError, RecordsLocked
from cellyard.model import StepRequest, StepState
from cellyard.records import AttemptEnd, EventRow, open_records

WRITER = Path(__file__).with_name("writer.py")
EVENTS_PER_STEP = 25

HOLD = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN IMMEDIATE")
connection.execute("INSERT INTO runs (kind, notebook, session, state, history, created)"
                   " VALUES ('cell', 'held', 's', 'queued', 'queued', 1.0)")
print("held", flush=True)
sys.stdin.readline()
connection.execute("ROLLBACK")
"""


@contextmanager
def lock_held(path: Path):
    """Another process holds the write lock of the database for as long as this lasts."""
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process
    finally:
        process.communicate("done\n", timeout=20)


def assert_held(path: Path) -> None:
    other = sqlite3.connect(path, isolation_level=None, timeout=0)
    with pytest.raises(sqlite3.OperationalError, match="locked"):
        other.execute("BEGIN IMMEDIATE")
    other.close()


def request(name: str = "train") -> StepRequest:
    return StepRequest(notebook="n", session="s", name=name, source="x = 1")


@pytest.fixture
def path(tmp_path):
    return tmp_path / "records.sqlite"


@pytest.fixture
def url(path):
    """These faults are of a file."""
    return f"sqlite:///{path}"


def test_records_that_another_process_holds_are_said_to_be_and_nothing_is_written(url, path):
    with open_records(url, busy_timeout=0.2) as records:
        opened = records.open_step(request(), token="t1")
        records.mark_running("t1")
        end = AttemptEnd(
            token="t1",
            state=StepState.SUCCEEDED,
            events=[EventRow(run=opened.run_id, kind="finished", content={}, time=1.0)],
        )
        with lock_held(path):
            assert_held(path)
            for write in (
                lambda: records.finish_step(end),
                lambda: records.open_step(request(), token="t2"),
                lambda: records.append_events(end.events),
            ):
                with pytest.raises(RecordsLocked, match="locked by another process for 200 ms") as caught:
                    write()
                assert caught.value.path == str(path)
            # Readers do not wait for a writer.
            assert records.step(opened.step_id).state == "running"
            assert [run.notebook for run in records.runs()] == ["n"]
        # The same end can be committed afterwards.
        assert records.finish_step(end)
        assert len(records.events_since(0)) == 1


def test_a_lock_that_is_let_go_in_time_is_waited_for(url, path):
    with open_records(url, busy_timeout=30) as records, lock_held(path) as holder:
        assert_held(path)
        assert holder.stdin is not None
        release = threading.Timer(0.3, lambda: holder.stdin.write("done\n") and holder.stdin.flush())
        release.start()
        assert records.open_step(request(), token="t1").run_id == 1
        release.join()


def test_records_that_are_held_can_be_opened_and_read(url, path):
    with open_records(url) as records:
        records.open_step(request(), token="t1")
    with lock_held(path):
        assert_held(path)
        with open_records(url, busy_timeout=0.2) as records:
            assert records.runs()[0].notebook == "n"


def killed_writer(url: str, *, after: int) -> set[int]:
    """The ids of the steps that a writer said it had committed before it was killed in the middle of more."""
    writer = subprocess.Popen([sys.executable, str(WRITER), url], stdout=subprocess.PIPE, text=True)
    assert writer.stdout is not None
    said = [writer.stdout.readline() for _ in range(after)]
    os.kill(writer.pid, signal.SIGKILL)
    said += writer.stdout.read().splitlines()
    assert writer.wait(20) == -signal.SIGKILL
    writer.stdout.close()
    return {int(line) for line in said}


@pytest.mark.parametrize("after", [1, 20, 47])
def test_a_writer_killed_in_the_middle_leaves_every_committed_row_whole(url, path, after):
    committed = killed_writer(url, after=after)
    assert len(committed) >= after
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    check.close()
    with open_records(url) as records:
        finished = [run for run in records.runs(10_000_000) if run.state == "succeeded"]
        assert {records.steps(run.id)[0].id for run in finished} >= committed
        for run in finished:
            [step] = records.steps(run.id)
            told = records.events_since(0, run_id=run.id)
            assert (step.state, step.outputs) == ("succeeded", ({"id": "o" * 500},))
            assert [event.content["n"] for event in told] == list(range(EVENTS_PER_STEP))
        # At most the one step that it was at is open, with none of its end.
        for step in records.open_steps():
            assert (step.outputs, records.events_since(0, run_id=step.run_id)) == ((), [])
        assert len(records.mark_lost("the writer was killed").steps) <= 1
        records.open_step(request(), token="after")


def test_a_full_disk_is_said_and_what_was_committed_stays(url, path):
    with open_records(url) as records:
        opened = records.open_step(request(), token="t1")
        # SQLite's own limit on pages fails as a full disk does.
        with records._database.write() as connection:
            pages = connection.exec_driver_sql("PRAGMA page_count").scalar()
            assert connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}").scalar() == pages
        big = [EventRow(run=opened.run_id, kind="output", content={"text": "x" * 100_000}, time=1.0)] * 20
        with pytest.raises(RecordsError, match=r"full.*Free some space.*CELLYARD_RECORDS"):
            records.append_events(big)
        assert records.events_since(0) == []
        assert records.step(opened.step_id).state == "queued"


def test_a_newer_schema_is_refused_and_left_alone(url, path):
    open_records(url).close()
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("UPDATE schema_version SET version = 99")
    assert database.execute("SELECT version FROM schema_version").fetchall() == [(99,)]
    with pytest.raises(RecordsError, match=r"a newer cellyard \(schema 99; this one reads up to \d+\)"):
        open_records(url)
    assert database.execute("SELECT version FROM schema_version").fetchall() == [(99,)]
    database.close()


def test_a_file_that_is_no_database_is_named(url, path):
    path.write_bytes(b"this is a text about databases, and no database" * 100)
    with pytest.raises(RecordsError, match=r"records\.sqlite.*not a database"):
        open_records(url)
    assert path.read_bytes().startswith(b"this is a text")


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(RecordsError, match="cannot be made"):
        open_records(f"sqlite:///{tmp_path}/file/records.sqlite")


def test_a_text_that_is_no_url_is_named():
    with pytest.raises(RecordsError, match="not the URL of a database"):
        open_records("records")


def test_records_are_for_their_owner_only(tmp_path):
    path = tmp_path / "new" / "records.sqlite"
    with open_records(f"sqlite:///{path}"):
        assert path.parent.stat().st_mode & 0o777 == 0o700
        assert path.stat().st_mode & 0o077 == 0


OPEN_AND_WRITE = """
import sys
from cellyard.model import StepRequest
from cellyard.records import open_records
sys.stdin.readline()
with open_records(sys.argv[1]) as records:
    for number in range(20):
        request = StepRequest(notebook="n", session=sys.argv[2], name="s", source="")
        records.open_step(request, token=f"{sys.argv[2]}.{number}")
"""


@pytest.mark.parametrize("kind", ["url", "postgres_url"])
def test_processes_that_open_new_records_at_once_all_find_them_made(request, kind):
    url = request.getfixturevalue(kind)
    processes = [
        subprocess.Popen([sys.executable, "-c", OPEN_AND_WRITE, url, f"p{n}"], stdin=subprocess.PIPE, text=True)
        for n in range(4)
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    for process in processes:
        process.communicate(timeout=60)
    assert [process.returncode for process in processes] == [0, 0, 0, 0]
    with open_records(url) as records:
        assert len(records.runs(1000)) == 80


def test_records_bring_nothing_heavy_but_sqlalchemy():
    program = (
        "import sys, cellyard.records\n"
        "heavy = {'dask', 'distributed', 'fastapi', 'pydantic', 'IPython', 'numpy', 'pandas', 'asyncpg', 'greenlet'}\n"
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "[]\n"


def test_a_server_that_is_gone_is_said_without_the_password():
    with pytest.raises(RecordsError, match=r"records postgresql\+psycopg://me:\*\*\*@127\.0\.0\.1") as caught:
        open_records("postgresql+psycopg://me:geheim@127.0.0.1:9/records?connect_timeout=2")
    assert "geheim" not in str(caught.value)
