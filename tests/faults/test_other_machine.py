"""A run whose machine is gone goes on at another one, which shares nothing with it but store and records."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import nbformat
import pytest

from tests.buckets import Bucket, bucket, s3
from tests.notebook.cells import document
from tests.records.conftest import postgres, postgres_url
from tests.service.engines import Home, engine_home, until

__all__ = ["bucket", "postgres", "postgres_url", "s3"]

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

NOTE = "import pathlib\nwith open({log!r}, 'a') as log:\n    print('{name}', file=log)\n"
HANG = "import time\nwhile not pathlib.Path({well!r}).exists():\n    time.sleep(0.05)\n"


@pytest.fixture(params=["folder and file", "bucket and server"])
def machines(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Home, Home]]:
    """Two homes with engines of their own."""
    shared = {"CELLYARD_STORE": str(tmp_path / "store"), "CELLYARD_RECORDS": f"sqlite:///{tmp_path}/records.sqlite"}
    if request.param == "bucket and server":
        place: Bucket = request.getfixturevalue("bucket")
        shared = {"CELLYARD_STORE": place.url, "CELLYARD_RECORDS": request.getfixturevalue("postgres_url")}
    with ExitStack() as stack:
        yield stack.enter_context(engine_home(**shared)), stack.enter_context(engine_home(**shared))


def command(home: Home, *words: str | Path) -> list[str]:
    return [sys.executable, "-m", "cellyard", *map(str, words)]


def test_a_run_goes_on_where_another_machine_has_left_it(machines: tuple[Home, Home], tmp_path: Path):
    here, there = machines
    log, well = str(tmp_path / "log"), str(tmp_path / "well")
    cells = [
        f"%%step a\n{NOTE.format(log=log, name='a')}x = list(range(30_000))",
        f"%%step b --map n=range(4) --isolate\n{NOTE.format(log=log, name='b')}"
        f"if n == 2:\n    {HANG.format(well=well).replace(chr(10), chr(10) + '    ')}\ny = x[n] * 10",
        f"%%step c\n{NOTE.format(log=log, name='c')}z = sum(y)",
        "z",
    ]
    path = tmp_path / "here" / "n.ipynb"
    path.parent.mkdir()
    path.write_text(json.dumps(document("%load_ext kernel_magics", *cells)))
    running = subprocess.Popen(command(here, "run", path), env=here.process_env, start_new_session=True)
    try:
        until(lambda: Path(log).exists() and Path(log).read_text().split() == ["a", "b", "b", "b"], "item 2 hangs")
        until(lambda: len(kept(here)) == 2, "what the two before it made is on record")
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait()
    here.kill_engine()

    Path(well).touch()
    elsewhere = Path(shutil.copytree(path.parent, tmp_path / "there")) / path.name
    [lost] = there.client().runs(limit=1)
    assert lost["state"] == "lost"
    done = subprocess.run(
        command(there, "resume", str(lost["id"]), elsewhere),
        env=there.process_env,
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert Counter(Path(log).read_text().split()) == {"a": 1, "b": 5, "c": 1}
    executed = nbformat.read(elsewhere.with_name("n.executed.ipynb"), as_version=4)
    assert executed.cells[-1].outputs[0]["data"]["text/plain"] == "60"
    [resumed] = there.client().runs(limit=1)
    assert (resumed["state"], resumed["resumes"]) == ("succeeded", lost["id"])


def kept(home: Home) -> list[object]:
    """What items have made, as the records have it."""
    from sqlalchemy import create_engine, select

    from cellyard.records.schema import kept_items

    engine = create_engine(home.settings.records)
    try:
        with engine.connect() as connection:
            return list(connection.execute(select(kept_items.c.content)).scalars())
    finally:
        engine.dispose()
