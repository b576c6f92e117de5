"""The S3 server is away for a while: what a step has made is not lost, and what cannot be had is told."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.buckets import Bucket, OwnServer, own_server
from tests.notebooks.kernels import Kernel, kernel_at
from tests.outages import step_through_outage
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
    step_through_outage(kernel, home, own_server, away=AWAY)
