"""The Kubernetes backend on a real cluster: what works, and what is said and left when something breaks.

One DaskCluster serves most of these tests, which therefore leave it alive.
"""

from __future__ import annotations

import functools
import json
import os
import signal
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from cellyard.backends.base import StepTask
from cellyard.backends.dask_on_kubernetes.backend import DaskOnKubernetesBackend, engine_name
from cellyard.backends.dask_on_kubernetes.pod_specs import Names, dask_cluster
from cellyard.errors import InvalidSettings
from cellyard.model.kubernetes import KubernetesSettings
from tests.backends.submitting import Inbox, make_task, outputs
from tests.cluster.conftest import fresh_bucket, fresh_namespace, installed, kubectl
from tests.cluster.leftovers import left_behind, operators_say, until
from tests.cluster.wires import Wire

MIB = 1 << 20
SLEEP = "import time\nprint('begun', flush=True)\ntime.sleep(120)"

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.timeout(100, func_only=True)]


@pytest.fixture(scope="module")
def place(kubeconfig: str, worker_image: str) -> Iterator[str]:
    """A namespace with an operator."""
    with fresh_namespace() as name, installed(name, worker_image):
        yield name


@pytest.fixture(scope="module")
def bucket(s3_server: None) -> Iterator[str]:
    with fresh_bucket() as url:
        yield url


@pytest.fixture(scope="module")
def settings(place: str, worker_image: str) -> KubernetesSettings:
    return KubernetesSettings(namespace=place, image=worker_image, memory=300 * MIB, max_cpu=100.0, idle=60.0)


class Cluster:
    """A backend with its inbox, and a look at its objects."""

    def __init__(self, settings: KubernetesSettings, store: str, folder: Path) -> None:
        self.inbox = Inbox()
        self.namespace = str(settings.namespace)
        self.engine = engine_name(folder)
        self.backend = DaskOnKubernetesBackend(store=store, runtime=folder, settings=settings)

    async def start(self) -> None:
        await self.backend.start(self.inbox.listen)

    async def run(self, task: StepTask) -> dict[str, Any]:
        await self.backend.submit(task)
        return await self.inbox.finished(task)

    async def begin(self, source: str = SLEEP, **size: Any) -> tuple[StepTask, str]:
        """A step that has begun, and its pod."""
        task = task_of(source, **size)
        await self.backend.submit(task)
        await self.inbox.saw(task, "output")
        started = await self.inbox.saw(task, "started")
        return task, started["worker"].partition(":")[0]

    def left(self) -> list[str]:
        return left_behind(self.namespace, self.engine)

    def groups(self) -> list[str]:
        return [each for each in self.left() if "DaskWorkerGroup" in each and not each.endswith("-default")]


def task_of(source: str, *, cpu: float = 0.5, memory: int | None = None, **options: Any) -> StepTask:
    task = make_task(source, cpu=cpu, memory=memory)
    task.request["options"].update(options)
    return task


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def cluster(
    settings: KubernetesSettings, bucket: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Cluster]:
    made = Cluster(settings, bucket, tmp_path_factory.mktemp("engine"))
    await made.start()
    yield made
    await made.backend.close()
    until("everything of the engine is gone", lambda: not made.left())


async def test_a_step_runs_on_a_pod_and_the_next_one_on_the_same(cluster: Cluster) -> None:
    task = task_of("import os\nprint(os.getuid(), os.access('/etc', os.W_OK))\nx = 42\nx")
    last = await cluster.run(task)
    assert last["state"] == "succeeded", last["error"]
    assert outputs(cluster.inbox.messages[task.token]) == "1000 False\n"
    assert ["x"] in [each["names"] for each in last["outputs"]]
    again = task_of("pass")
    begun = time.perf_counter()
    assert (await cluster.run(again))["state"] == "succeeded"
    assert time.perf_counter() - begun < 2.0
    workers = {(await cluster.inbox.saw(each, "started"))["worker"] for each in (task, again)}
    assert len(workers) == 1


async def test_output_arrives_while_the_step_runs_and_it_can_be_interrupted(cluster: Cluster) -> None:
    task, _ = await cluster.begin()
    await cluster.backend.interrupt(task.token)
    last = await cluster.inbox.finished(task)
    assert (last["state"], last["error"]["type"]) == ("cancelled", "KeyboardInterrupt")


async def test_a_step_that_uses_more_memory_than_it_may_says_so(cluster: Cluster) -> None:
    last = await cluster.run(task_of("x = bytearray(1 << 30)"))
    assert (last["state"], last["error"]["type"]) == ("failed", "StepOutOfMemory")
    assert "--memory" in last["error"]["message"]


async def test_a_deleted_pod_is_said_and_replaced(cluster: Cluster) -> None:
    task, pod = await cluster.begin()
    kubectl("delete", "pod", pod, "-n", cluster.namespace, "--wait=false")
    last = await cluster.inbox.finished(task)
    assert (last["state"], last["error"]["type"]) == ("lost", "WorkerLost")
    assert "pod was deleted" in last["error"]["message"]
    assert (await cluster.run(task_of("pass")))["state"] == "succeeded"


async def test_an_evicted_pod_is_no_fault_of_the_step(cluster: Cluster) -> None:
    task, pod = await cluster.begin()
    eviction = {
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": pod, "namespace": cluster.namespace},
    }
    path = f"/api/v1/namespaces/{cluster.namespace}/pods/{pod}/eviction"
    kubectl("create", "--raw", path, "-f", "-", stdin=eviction)
    last = await cluster.inbox.finished(task)
    assert (last["state"], last["error"]["type"]) == ("lost", "WorkerTaken")
    assert "evicted" in last["error"]["message"]


async def test_a_killed_container_is_said(cluster: Cluster) -> None:
    task, pod = await cluster.begin()
    kubectl("exec", pod, "-n", cluster.namespace, "--", "python", "-c", "import os; os.kill(1, 15)", check=False)
    last = await cluster.inbox.finished(task)
    assert (last["state"], last["error"]["type"]) == ("lost", "WorkerLost")
    assert "Its container was killed by signal 15" in last["error"]["message"]


async def test_a_killed_process_beside_the_engine_loses_nothing(cluster: Cluster) -> None:
    source = "import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.1)"
    task, _ = await cluster.begin(source)
    first = cluster.backend.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    last = await cluster.inbox.finished(task)
    assert cluster.backend.pid != first
    assert last["state"] == "succeeded"
    assert outputs(cluster.inbox.messages[task.token]).split() == [str(each) for each in range(40)]
    assert (await cluster.run(task_of("pass")))["state"] == "succeeded"


async def test_a_deleted_scheduler_is_said_and_comes_back(cluster: Cluster) -> None:
    task, _ = await cluster.begin()
    selector = f"cellyard.io/engine={cluster.engine},dask.org/component=scheduler"
    kubectl("delete", "pod", "-n", cluster.namespace, "-l", selector, "--wait=false")
    last = await cluster.inbox.finished(task)
    assert (last["state"], last["error"]["type"]) == ("lost", "WorkerLost")
    assert "scheduler" in last["error"]["message"]
    assert (await cluster.run(task_of("pass")))["state"] == "succeeded"


async def test_what_no_node_has_is_said_while_it_waits(cluster: Cluster) -> None:
    task = task_of("pass", cpu=64.0)
    begun = time.monotonic()
    await cluster.backend.submit(task)
    note = await cluster.inbox.saw(task, "note")
    assert time.monotonic() - begun < 6
    assert "64 CPU" in note["text"]
    await cluster.backend.cancel(task.token)
    assert (await cluster.inbox.finished(task))["state"] == "cancelled"
    until("its pod is no longer wanted", lambda: len(cluster.groups()) <= 1)


async def test_an_image_that_is_not_there_is_said(cluster: Cluster) -> None:
    task = task_of("pass", image="localhost/no-such-image:1")
    begun = time.monotonic()
    await cluster.backend.submit(task)
    note = await cluster.inbox.saw(task, "note")
    assert time.monotonic() - begun < 6
    assert "localhost/no-such-image:1" in note["text"]
    await cluster.backend.cancel(task.token)
    invalid = await cluster.run(task_of("pass", image="No/Image"))
    assert (invalid["state"], invalid["error"]["type"]) == ("failed", "ImageUnavailable")
    until("no pod is left of them", lambda: len(cluster.groups()) <= 1)


async def test_a_quota_that_is_reached_is_said(cluster: Cluster) -> None:
    hard = {"limits.memory": "2Gi", "requests.memory": "2Gi"}
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "small"}, "spec": {"hard": hard}}
    kubectl("create", "-n", cluster.namespace, "-f", "-", stdin=quota)
    until(
        "the quota counts",
        lambda: json.loads(kubectl("get", "quota", "small", "-n", cluster.namespace, "-o", "json"))["status"],
    )
    try:
        last = await cluster.run(task_of("pass", memory=4096 * MIB))
    finally:
        kubectl("delete", "quota", "small", "-n", cluster.namespace)
    assert (last["state"], last["error"]["type"]) == ("failed", "QuotaReached")
    assert "limits.memory" in last["error"]["message"]


def abandoned(namespace: str, settings: KubernetesSettings) -> None:
    """What an engine leaves that was killed before its scheduler could start."""
    names = Names("abandoned", namespace, "cellyard-abandoned-xyz")
    broken = KubernetesSettings.from_dict({**settings.to_dict(), "image": "localhost/no-such-image:1"})
    kubectl("create", "-f", "-", stdin=dask_cluster(names, broken, topic="t", deadline=3600, alive=time.time() - 1))
    assert left_behind(namespace, "abandoned")


async def test_two_engines_in_one_namespace_leave_each_other_alone(
    cluster: Cluster, settings: KubernetesSettings, bucket: str, tmp_path: Path
) -> None:
    await cluster.run(task_of("pass"))
    abandoned(cluster.namespace, settings)
    other = Cluster(
        KubernetesSettings.from_dict({**settings.to_dict(), "idle": 2.0, "memory": 200 * MIB}), bucket, tmp_path
    )
    await other.start()
    try:
        assert (await other.run(task_of("pass", cpu=0.4)))["state"] == "succeeded"
        assert other.engine != cluster.engine
        # It idles, and all of it goes; the first one's worker stays.
        until("nothing is left of the idle one", lambda: not other.left(), within=60)
        assert cluster.groups()
        told = functools.partial(operators_say, f"{cluster.namespace}-operator")
        swept = "what nobody looked after any more is swept up"
        until(swept, lambda: not left_behind(cluster.namespace, "abandoned"), within=90, told=told)
    finally:
        await other.backend.close()
    assert (await cluster.run(task_of("pass")))["state"] == "succeeded"


async def test_missing_rights_are_said_and_nothing_is_made(
    place: str, settings: KubernetesSettings, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kubectl("create", "serviceaccount", "nobody", "-n", place)
    token = kubectl("create", "token", "nobody", "-n", place).strip()
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    config["users"][0]["user"] = {"token": token}
    (tmp_path / "config").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "config"))
    refused = Cluster(settings, bucket, tmp_path)
    await refused.start()
    last = await refused.run(task_of("pass"))
    await refused.backend.close()
    assert (last["state"], last["error"]["type"]) == ("failed", "ClusterRefused")
    assert "cellyard kubernetes" in last["error"]["message"]


async def test_a_missing_operator_is_said_and_nothing_is_left(
    place: str, settings: KubernetesSettings, bucket: str, tmp_path: Path
) -> None:
    with fresh_namespace() as empty:
        alone = Cluster(KubernetesSettings.from_dict({**settings.to_dict(), "namespace": empty}), bucket, tmp_path)
        await alone.start()
        task = task_of("pass")
        begun = time.monotonic()
        await alone.backend.submit(task)
        note = await alone.inbox.saw(task, "note")
        assert time.monotonic() - begun < 8
        assert "operator" in note["text"]
        await alone.backend.close()
        assert alone.inbox.messages[task.token][-1]["state"] == "cancelled"
        until("nothing is left", lambda: not alone.left())


async def test_a_broken_connection_is_made_again_and_nothing_is_missed(
    settings: KubernetesSettings, bucket: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json"))
    description = config["clusters"][0]["cluster"]
    async with Wire(description["server"]) as wire:
        description |= {"server": f"https://127.0.0.1:{wire.port}", "tls-server-name": wire.host}
        (tmp_path / "config").write_text(json.dumps(config))
        far = Cluster(settings, bucket, tmp_path)
        with monkeypatch.context() as env:
            env.setenv("KUBECONFIG", str(tmp_path / "config"))
            far.backend.start_process()
        await far.start()
        task, _ = await far.begin("import time\nfor i in range(40):\n    print(i, flush=True)\n    time.sleep(0.1)")
        assert wire.cut()
        assert (await far.inbox.finished(task))["state"] == "succeeded"
        assert outputs(far.inbox.messages[task.token]).split() == [str(each) for each in range(40)]
        assert (await far.run(task_of("pass")))["state"] == "succeeded"
        await far.backend.close()
    until("nothing is left", lambda: not far.left())


async def test_a_folder_as_store_is_refused_before_anything_runs(settings: KubernetesSettings, tmp_path: Path) -> None:
    backend = DaskOnKubernetesBackend(store=str(tmp_path / "store"), runtime=tmp_path, settings=settings)
    with pytest.raises(InvalidSettings, match="s3://"):
        await backend.submit(make_task("pass"))
