"""The S3 server is away while pods work: they wait for it, and nothing that they have made is lost."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlparse

import pytest

from tests.buckets import Bucket, OwnServer, server_program
from tests.cluster.conftest import fresh_namespace, installed
from tests.cluster.leftovers import left_behind, until
from tests.notebooks.kernels import Kernel, kernel_at
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
        settings = {
            "CELLYARD_STORE": bucket.url,
            "CELLYARD_BACKEND": "kubernetes",
            "CELLYARD_KUBERNETES_NAMESPACE": namespace,
            "CELLYARD_KUBERNETES_IMAGE": worker_image,
            "CELLYARD_KUBERNETES_MEMORY": "300MiB",
            "KUBECONFIG": kubeconfig,
            **server.env,
        }
        with engine_home(**settings) as found:
            yield found
        until("nothing is left of the engine", lambda: not left_behind(namespace))


@pytest.fixture
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at(home.env) as found:
        yield found


def test_a_pod_waits_for_a_store_that_is_away(kernel: Kernel, home: Home, server: OwnServer) -> None:
    before = "%%step before --cpu 0.5\nimport numpy as np\nlarge = np.arange(1_000_000)"
    assert kernel.run(before, timeout=90).error is None
    source = "import time\nprint('begun')\ntime.sleep(2)\nmade = large + 1\nprint('made')"
    cell = kernel.begin(f"%%step during --cpu 0.5\n{source}")
    kernel.until_output(cell, "begun")
    server.stop()
    stopped = time.monotonic()
    kernel.until_output(cell, "made")
    time.sleep(AWAY - (time.monotonic() - stopped))  # the outage itself
    assert [run["state"] for run in home.client().runs()] == ["running", "succeeded"], "the step did not wait"
    server.start()
    ran = kernel.finish(cell, timeout=60)
    assert ran.error is None, ran.words
    assert kernel.run("int(made[-1])").result == "1000000"
    assert [run["state"] for run in home.client().runs()] == ["succeeded", "succeeded"]
