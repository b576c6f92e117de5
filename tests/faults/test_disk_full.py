"""The store's disk is full: the step says so, and everything that was committed stays whole."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

DISK = 16 << 20
BIG = "import numpy as np\nmade_{0} = np.random.default_rng({0}).random({1})"


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 16 MiB, which the test mounts where it may, in a namespace of its own where it may not."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={DISK}", "cellyard-test", str(folder)]
    done = subprocess.run(mount, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.fail(f"this test needs to mount a small file system: {done.stderr}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def home(disk: Path) -> Iterator[Home]:
    """A home whose store is on the small disk, and whose records are not."""
    with engine_home(CELLYARD_STORE=str(disk / "store")) as found:
        yield found


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at(home.env) as found:
        yield found


def free(disk: Path) -> int:
    """Bytes left there."""
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def check(home: Home) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "cellyard", "check"]
    return subprocess.run(command, env=os.environ | home.env, capture_output=True, text=True, timeout=60, check=False)


def test_the_step_fails_clearly_what_was_committed_is_whole_and_with_room_it_works(
    kernel: Kernel, home: Home, disk: Path
):
    kernel.run("%%step fits\n" + BIG.format(1, 1_000_000))
    filler = disk / "filler"
    filler.write_bytes(b"x" * (free(disk) - (2 << 20)))
    assert free(disk) < 4 << 20, "the disk is nearly full"

    failed = kernel.fail("%%step too_big\nprint('made it')\n" + BIG.format(2, 1_000_000))
    assert failed.stdout == "made it\n"
    assert failed.error["ename"] == "StoreFull"
    assert "no space left in the store" in failed.error["evalue"]
    assert str(disk / "store") in failed.error["evalue"]
    assert len(failed.error["traceback"]) == 1
    assert not list((disk / "store" / "tmp").iterdir()), "nothing half-written is left"

    checked = check(home)
    assert checked.returncode == 0, checked.stderr
    assert ", 0 damaged" in checked.stdout
    assert kernel.run("1 + 1, 'made_2' in globals()").result == "(2, False)"
    assert kernel.run("float(made_1[:3].sum()) > 0").result == "True"

    filler.unlink()
    kernel.run("%%step too_big\n" + BIG.format(2, 500_000))
    assert kernel.run("made_2.shape").result == "(500000,)"
    states = {s["name"]: s["state"] for s in home.client().steps(home.client().runs(limit=1)[0]["id"])}
    assert states == {"too_big": "succeeded"}


def test_inputs_that_do_not_fit_are_refused_before_anything_runs(kernel: Kernel, home: Home, disk: Path):
    kernel.run("%%step small\n1")
    kernel.run("import numpy as np\nwide = np.random.default_rng(0).random(3_000_000)")
    assert free(disk) < 24_000_000, "it cannot fit"
    before = len(home.client().runs())
    failed = kernel.fail("%%step uses\nwide.sum()")
    assert failed.error["ename"] == "StoreFull"
    assert len(home.client().runs()) == before
    assert kernel.run("%%step small\n1 + 1").result == "2"
