"""Another process holds the records: a clear error or a wait; nothing is lost and nothing written twice."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.notebooks.kernels import Kernel
from tests.service.engines import Home, until

HOLD = """
import sqlite3, sys
other = sqlite3.connect(sys.argv[1], isolation_level=None)
other.execute("BEGIN EXCLUSIVE")
print("held", flush=True)
sys.stdin.readline()
other.execute("ROLLBACK")
"""


@contextmanager
def held(home: Home) -> Iterator[None]:
    """The records in the hands of another process, which is asserted."""
    path = str(home.folder / "records.sqlite")
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        one = sqlite3.connect(path, timeout=0, isolation_level=None)
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            one.execute("BEGIN IMMEDIATE")
        one.close()
        try:
            yield
        finally:
            process.stdin.write("\n")
            process.stdin.flush()
            process.wait(10)


def test_a_step_is_refused_clearly_and_runs_when_the_records_are_free(kernel: Kernel, home: Home):
    kernel.run("%%step first\nx = 1")
    with held(home):
        failed = kernel.fail("%%step second\nx = 2")
        assert failed.error["ename"] == "RecordsLocked"
        assert "locked by another process" in failed.error["evalue"]
        assert len(failed.error["traceback"]) == 1
        assert kernel.look("x") == 1
    kernel.run("%%step second\nx = 3")
    assert kernel.look("x") == 3
    client = home.client()
    assert [s["name"] for s in client.notebook_steps("/tmp/notebook.ipynb")] == ["first", "second"]
    assert [run["state"] for run in client.runs()] == ["succeeded", "succeeded"]


def test_a_step_that_ends_meanwhile_waits_and_says_so_and_nothing_is_lost(kernel: Kernel, home: Home):
    id = kernel.begin("%%step waits\nimport time\nprint('going', flush=True)\ntime.sleep(0.7)\nprint('over')\ny = 5")
    kernel.until_output(id, "going")
    until(lambda: home.client().runs(limit=1)[0]["state"] == "running", "its beginning is recorded")
    with held(home):
        kernel.until_output(id, "the records cannot be written now")
        assert home.client().runs(limit=1)[0]["state"] == "running"
    ran = kernel.finish(id)
    assert ran.error is None, ran.words
    assert kernel.look("y") == 5
    client = home.client()
    run = client.runs(limit=1)[0]
    assert run["state"] == "succeeded"
    [found] = client.steps(run["id"])
    assert (found["state"], found["history"]) == ("succeeded", ["queued", "running", "succeeded"])
    events = list(client.events(run=run["id"]))
    numbers = [e["seq"] for e in events]
    assert numbers == sorted(set(numbers))
    texts = [e["content"]["text"] for e in events if e["kind"] == "output"]
    assert "".join(texts).startswith("going\nover\n")
