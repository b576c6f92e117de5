"""The S3 server is away while pods work: they wait for it, and nothing that they have made is lost."""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.buckets import Bucket, OwnServer, server_program
from tests.cluster.conftest import cluster_settings, fresh_namespace, installed
from tests.cluster.leftovers import left_behind, until
from tests.notebooks.kernels import Kernel, kernel_at
from tests.outages import step_through_outage
from tests.service.engines import Home, engine_home

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

AWAY = 20.0


@pytest.fixture
def server(s3_server: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[OwnServer]:
    """A server that pods reach, and that the test can stop."""
    host = urlparse(os.environ["AWS_ENDPOINT_URL"]).hostname or ""
    with contextlib.suppress(OSError), socket.socket() as probe:
        probe.bind((host, 0))
        server = OwnServer(server_program(), tmp_path / "server", host)
        server.start()
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server
        server.stop()
        return
    pytest.skip(f"pods reach S3 at {host}, which is not this machine")


@pytest.fixture
def home(kubeconfig: str, server: OwnServer, worker_image: str) -> Iterator[Home]:
    bucket = Bucket()
    bucket.make()
    with fresh_namespace() as namespace, installed(namespace, worker_image):
        settings = cluster_settings(namespace, worker_image, bucket.url)
        with engine_home(**settings) as found:
            yield found
        until("nothing is left of the engine", lambda: not left_behind(namespace))


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at(home.env) as found:
        yield found


def test_a_pod_waits_for_a_store_that_is_away(kernel: Kernel, home: Home, server: OwnServer) -> None:
    step_through_outage(kernel, home, server, away=AWAY, options="--cpu 0.5")
