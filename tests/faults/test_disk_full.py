"""The store's disk is full: the step says so, and everything that was committed stays whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellyard.worker.processes import children_of
from tests.faults.disks import DISKS, Disk, mounted
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

MAKE = "import numpy as np\nmade_{0} = np.random.default_rng({0}).random({1})"


@pytest.fixture(params=sorted(DISKS))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A small disk of each kind that can be had here."""
    with DISKS[request.param](tmp_path) as found:
        yield found


@pytest.fixture
def home(disk: Disk) -> Iterator[Home]:
    """A home whose store is on the small disk, and whose records are not."""
    with engine_home(CELLYARD_STORE=str(disk.folder / "store")) as found:
        yield found


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at(home.env) as found:
        yield found


def workers(home: Home) -> list[int]:
    """The processes that run steps: what the engine has started."""
    return sorted(children_of(home.client().ensure()["pid"]))


def run_cellyard(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cellyard", *arguments]
    return subprocess.run(command, env=os.environ | home.env, capture_output=True, text=True, timeout=60, check=False)


def test_the_step_fails_clearly_what_was_committed_is_whole_and_with_room_it_works(
    kernel: Kernel, home: Home, disk: Disk
):
    kernel.run("%%step fits\n" + MAKE.format(1, 1_000_000))
    disk.fill(*workers(home))

    failed = kernel.fail("%%step too_big\nprint('made it')\n" + MAKE.format(2, 1_000_000))
    assert failed.stdout == "made it\n"
    assert failed.error is not None
    assert failed.error["ename"] == "StoreFull"
    assert "no space left in the store" in failed.error["evalue"]
    assert str(disk.folder / "store") in failed.error["evalue"]
    assert len(failed.error["traceback"]) == 1
    assert not list((disk.folder / "store" / "tmp").iterdir()), "nothing half-written is left"

    checked = run_cellyard(home, "check")
    assert checked.returncode == 0, checked.stderr
    assert ", 0 damaged" in checked.stdout
    assert kernel.run("1 + 1, 'made_2' in globals()").result == "(2, False)"
    assert kernel.run("float(made_1[:3].sum()) > 0").result == "True"

    disk.free()
    kernel.run("%%step too_big\n" + MAKE.format(2, 500_000))
    assert kernel.run("made_2.shape").result == "(500000,)"
    client = home.client()
    assert [run["state"] for run in client.runs()] == ["succeeded", "failed", "succeeded"]


def test_inputs_that_do_not_fit_are_refused_before_anything_runs(kernel: Kernel, home: Home, disk: Disk):
    kernel.run("%%step small\n1")
    kernel.run("import numpy as np\nwide = np.random.default_rng(0).random(1_000_000)")
    before = len(home.client().runs())
    disk.fill(kernel.pid)
    failed = kernel.fail("%%step uses\nwide.sum()")
    assert failed.error is not None
    assert failed.error["ename"] == "StoreFull"
    assert len(home.client().runs()) == before
    disk.free()
    kernel.run("%%step uses\ntotal = float(wide.sum())")
    assert kernel.look("total") > 0


@pytest.mark.skipif("mounted" not in DISKS, reason="nobody but root may mount a disk that is really full")
def test_values_can_be_thrown_away_where_nothing_at_all_is_left(tmp_path: Path):
    places = {"CELLYARD_STORE": f"{tmp_path}/store", "CELLYARD_RECORDS": f"sqlite:///{tmp_path}/records.sqlite"}
    with mounted(tmp_path) as disk, engine_home(**places) as home:
        with kernel_at(home.env) as kernel:
            kernel.run("%%step makes\n" + MAKE.format(1, 500_000))
        assert run_cellyard(home, "engine", "stop").returncode == 0
        disk.fill_up()
        refused = run_cellyard(home, "plan", "no.ipynb")
        assert "Free some space on that disk (`cellyard gc`" in refused.stderr, refused.stderr

        _make_old(tmp_path / "store")
        said = run_cellyard(home, "gc", "--keep", "0s")
        assert (said.returncode, "; 0 B stay" in said.stdout) == (0, True), said.stderr
        assert run_cellyard(home, "check").returncode == 0
        assert [run["state"] for run in home.client().runs()] == ["succeeded"]
        assert (tmp_path / "records.sqlite.reserve").stat().st_blocks > 0, "and for the next time"


def _make_old(store: Path) -> None:
    for file in (store / "objects").glob("??/*"):
        os.utime(file, (1, 1))
