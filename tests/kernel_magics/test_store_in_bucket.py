"""The whole of a notebook's work with a store on S3: a real kernel, engine, worker and S3 server."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cellyard.history import History
from tests.buckets import Bucket, bucket, s3
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

__all__ = ["bucket", "s3"]


@pytest.fixture
def home(bucket: Bucket) -> Iterator[Home]:
    with engine_home(CELLYARD_STORE=bucket.url) as found:
        yield found


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/notebook.ipynb"}) as found:
        yield found


def test_a_notebook_works_as_with_a_folder(kernel: Kernel, home: Home, bucket: Bucket):
    kernel.run("import numpy as np\nscale = 3\nwide = np.ones(2_000_000)")
    kernel.run("def stretched(x):\n    return x * scale")
    ran = kernel.run("%%step make\nprint('making')\nlarge = stretched(wide)\nsmall = [scale, 'text']\nsmall")
    assert ran.stdout == "making\n"
    assert ran.result == "[3, 'text']"
    assert kernel.look("type(small).__name__, type(large).__name__") == ("list", "StandIn")

    kernel.run("%%step change\nlarge[7] = -1\nsmall.append(float(large.sum()))")
    assert kernel.run("large[6:8].tolist(), small").result == "([3.0, -1.0], [3, 'text', 5999996.0])"
    assert kernel.run("float(wide[0])").result == "1.0"

    failed = kernel.fail("%%step fail\nclass Bad(Exception): pass\nraise Bad(small)")
    assert failed.error is not None
    assert failed.error["ename"] == "Bad"

    history = History(home.settings)
    runs = history.runs()
    assert [run.state for run in runs] == ["failed", "succeeded", "succeeded"]
    assert runs[2].step("make").value("large")[7] == 3.0
    assert runs[1].step("change").value("large")[7] == -1.0
    history.close()
    assert bucket.listed()
    assert not Path(home.settings.store).exists()


def test_every_object_can_be_checked(kernel: Kernel, home: Home, bucket: Bucket):
    kernel.run("%%step one\nvalue = bytes(range(256)) * 1000")
    checked = check(home)
    assert (checked.returncode, checked.stderr) == (0, "")
    assert ", 0 damaged" in checked.stdout
    assert "0 objects would be removed" in command(home, "gc", "--dry-run").stdout
    bucket.replace(bucket.listed()[0], b"something else")
    checked = check(home)
    assert checked.returncode == 1
    assert "is damaged" in checked.stderr


def check(home: Home) -> subprocess.CompletedProcess[str]:
    return command(home, "check")


def command(home: Home, *words: str) -> subprocess.CompletedProcess[str]:
    program = [sys.executable, "-m", "cellyard", *words]
    return subprocess.run(program, env=home.process_env, capture_output=True, text=True, timeout=60, check=False)


def test_a_store_that_does_not_exist_is_told_before_anything_runs(s3: object):
    with engine_home(CELLYARD_STORE="s3://cellyard-test-there-is-none/x") as home, kernel_at(home.env) as kernel:
        kernel.run("value = list(range(10))")
        failed = kernel.fail("%%step reads\nlen(value)")
        assert failed.error is not None
        assert failed.error["ename"] == "StoreRefused"
        assert "there is no such bucket" in failed.error["evalue"]
        assert "s3://cellyard-test-there-is-none/x" in failed.error["evalue"]
        assert len(failed.error["traceback"]) == 1
        assert home.client().runs() == []

        failed = kernel.fail("%%step writes\nmade = 1")
        assert failed.error is not None
        assert failed.error["ename"] == "StoreRefused"
        assert [run["state"] for run in home.client().runs()] == ["failed"]
