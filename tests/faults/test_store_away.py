"""The S3 server is away for a while: what a step has made is not lost, and what cannot be had is told."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from tests.buckets import Bucket, OwnServer, own_server
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

__all__ = ["own_server"]

AWAY = 6.0


@pytest.fixture
def home(own_server: OwnServer) -> Iterator[Home]:
    bucket = Bucket()
    bucket.make()
    with engine_home(CELLYARD_STORE=bucket.url) as found:
        yield found


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at(home.env) as found:
        yield found


def test_a_step_that_ends_while_the_store_is_away_waits_for_it(kernel: Kernel, home: Home, own_server: OwnServer):
    kernel.run("%%step before\nimport numpy as np\nlarge = np.arange(1_000_000)")
    cell = kernel.begin("%%step during\nimport time\nprint('begun')\ntime.sleep(2)\nmade = large + 1\nprint('made')")
    kernel.until_output(cell, "begun")
    own_server.stop()
    stopped = time.monotonic()
    kernel.until_output(cell, "made")
    time.sleep(AWAY - (time.monotonic() - stopped))  # the outage itself
    assert [run["state"] for run in home.client().runs()] == ["running", "succeeded"], "the step did not wait"
    own_server.start()
    ran = kernel.finish(cell)
    assert ran.error is None, ran.words
    assert kernel.run("int(made[-1])").result == "1000000"
    assert [run["state"] for run in home.client().runs()] == ["succeeded", "succeeded"]
