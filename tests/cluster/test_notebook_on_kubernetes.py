"""Cells on a real cluster, from a real kernel and engine: as in the kernel itself, and through a killed engine."""

from __future__ import annotations

import functools
import time
from collections.abc import Iterator

import pytest

from tests.cluster.conftest import cluster_settings, fresh_bucket, fresh_namespace, installed, kubectl
from tests.cluster.leftovers import left_behind, operators_say, until
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

pytestmark = pytest.mark.timeout(150, func_only=True)


@pytest.fixture(scope="module")
def home(kubeconfig: str, s3_server: None, worker_image: str) -> Iterator[Home]:
    """An engine's home whose steps go to a namespace of their own unless they say otherwise."""
    with fresh_namespace() as namespace, installed(namespace, worker_image), fresh_bucket() as store:
        settings = cluster_settings(namespace, worker_image, store)
        with engine_home(**settings) as found:
            yield found
        until("nothing is left of the engine", lambda: not left_behind(namespace))


@pytest.fixture(scope="module")
def kernel(home: Home) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": "/tmp/notebook.ipynb"}) as found:
        yield found


def printed_until(kernel: Kernel, id: str, text: str) -> str:
    """What a running cell has printed, once that holds the text."""
    seen = ""
    while text not in seen:
        message = kernel.client.get_iopub_msg(timeout=30)
        if message["parent_header"].get("msg_id") == id and message["msg_type"] == "stream":
            seen += message["content"]["text"]
    return seen


def test_a_cell_on_a_pod_is_like_a_cell_in_the_kernel(kernel: Kernel) -> None:
    kernel.run("import os\nx = [1, 2]\nclass Own(Exception): pass\ndef twice(y): return y * 2")
    ran = kernel.run(
        "%%step first --cpu 0.5\nprint(os.environ['HOSTNAME'])\nx.append(twice(3))\ny = len(x)\ny", timeout=60
    )
    assert ran.error is None, ran.traceback
    assert ran.stdout.startswith("cellyard-")
    assert ran.result == "3"
    assert kernel.run("x, y").result == "([1, 2, 6], 3)"
    failed = kernel.finish(kernel.begin("%%step second --cpu 0.5\nraise Own('mine')"))
    assert failed.error is not None
    assert (failed.error["ename"], failed.error["evalue"]) == ("Own", "mine")
    assert kernel.run("%%step here --on local\ny + 1").result == "4"


def test_a_warm_step_is_quick(kernel: Kernel) -> None:
    kernel.run("%%step warm --cpu 0.5\nz = 1", timeout=60)
    seconds = []
    for _ in range(5):
        time.sleep(0.3)
        seconds.append(kernel.run("%%step warm --cpu 0.5\nz = 1").seconds)
    assert sorted(seconds)[2] < 0.5, seconds


def test_a_killed_engine_is_replaced_and_the_step_goes_on(kernel: Kernel, home: Home) -> None:
    source = "%%step long --cpu 0.5\nimport time\nfor i in range(60):\n    print(i, flush=True)\n    time.sleep(0.1)\ni"
    id = kernel.begin(source)
    before = printed_until(kernel, id, "5\n")
    killed = home.kill_engine()
    ran = kernel.finish(id, timeout=60)
    assert ran.error is None, ran.traceback
    assert ran.result == "59"
    # What the killed engine had told and not yet recorded may be told twice, and nothing is missing.
    lines = [int(each) for each in (before + ran.stdout).split() if each.isdigit()]
    assert sorted(set(lines)) == list(range(60))
    assert len(lines) <= 62
    facts = home.client().ensure()
    assert facts["pid"] != killed
    assert kernel.run("%%step after --cpu 0.5\ni + 1", timeout=60).result == "60"
    steps = {step["name"]: step for step in home.client().notebook_steps("/tmp/notebook.ipynb")}
    assert steps["long"]["state"] == "succeeded"


def test_what_a_killed_engine_leaves_is_deleted_though_no_other_comes(home: Home) -> None:
    home.kill_engine()
    namespace = home.settings.kubernetes.namespace
    assert namespace is not None
    assert left_behind(namespace)
    for cluster in kubectl("get", "daskclusters", "-n", namespace, "-o", "name").split():
        # Not in ten minutes, but now.
        change = '{"spec": {"idleTimeout": 3}}'
        kubectl("patch", cluster, "-n", namespace, "--type=merge", f"--patch={change}")
    told = functools.partial(operators_say, f"{namespace}-operator")
    until("the operator has deleted everything", lambda: not left_behind(namespace), within=90, told=told)
