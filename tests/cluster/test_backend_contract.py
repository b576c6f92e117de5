"""What every backend promises, on Kubernetes: the same suite, on pods that are smaller than its steps believe."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cellyard.backends.base import Backend, Listener, Offer, StepTask
from cellyard.backends.dask_on_kubernetes.backend import DaskOnKubernetesBackend
from cellyard.errors import DoesNotFit
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.model.resources import Resources
from tests.backends import submitting
from tests.backends.submitting import Inbox, make_task
from tests.cluster.conftest import fresh_bucket, fresh_namespace, installed, kubectl
from tests.cluster.leftovers import left_behind, until
from tests.contracts.test_backend_contract import CAPACITY, BackendContract, fresh, running

__all__ = ["fresh", "running"]

MIB = 1 << 20
CPU, MEMORY = 0.4, 0.5
"""What a CPU and a byte of the suite are here: a cluster of one small node is enough for it."""

# The whole of what a backend promises takes over a minute here; test_backend_kubernetes.py has the main paths.
pytestmark = [pytest.mark.long, pytest.mark.asyncio(loop_scope="class"), pytest.mark.timeout(100, func_only=True)]


class Scaled:
    """The Kubernetes backend, whose steps get a part of what they ask for."""

    def __init__(self, backend: DaskOnKubernetesBackend) -> None:
        self._backend = backend

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    @property
    def offer(self) -> Offer:
        return replace(self._backend.offer, capacity=CAPACITY)

    async def start(self, listener: Listener) -> None:
        await self._backend.start(listener)

    async def submit(self, task: StepTask) -> None:
        size = task.resources
        memory = None if size.memory is None else int(size.memory * MEMORY)
        await self._backend.submit(replace(task, resources=Resources(size.cpu * CPU, memory, size.gpu)))


@pytest.fixture(scope="module")
def place(kubeconfig: str, worker_image: str) -> Iterator[str]:
    with fresh_namespace() as name, installed(name, worker_image):
        yield name
        until("everything has gone", lambda: not left_behind(name))


@pytest.fixture(scope="module")
def bucket(s3_server: None) -> Iterator[str]:
    with fresh_bucket() as url:
        yield url


@pytest.fixture(autouse=True, scope="module")
def surroundings(place: str, bucket: str, worker_image: str) -> Iterator[None]:
    """What the suite's backends are made for; and a pod takes longer than a process."""
    TestKubernetes.settings = KubernetesSettings(
        namespace=place,
        image=worker_image,
        memory=200 * MIB,
        max_cpu=CAPACITY.cpu * CPU,
        max_memory=int((CAPACITY.memory or 0) * MEMORY),
        max_gpu=0,
    )
    TestKubernetes.store = bucket
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(submitting, "_DEADLINE", 60.0)
        yield


class TestKubernetes(BackendContract):
    backend_name = "kubernetes"
    is_always_ready = False

    settings: KubernetesSettings
    store: str

    @classmethod
    def make(cls, folder: Path) -> Backend:
        return Scaled(DaskOnKubernetesBackend(store=cls.store, runtime=folder, settings=cls.settings))

    @pytest.mark.parametrize("size", [{"cpu": 3.0}, {"memory": 2 << 30}, {"gpu": 1}], ids=["cpu", "memory", "gpu"])
    async def test_a_step_that_can_never_fit_is_refused(
        self, running: tuple[Backend, Inbox], size: dict[str, float]
    ) -> None:
        backend, inbox = running
        task = make_task("pass", **size)
        with pytest.raises(DoesNotFit, match=r"0\.8 CPU, 512 MiB"):
            await backend.submit(task)
        assert task.token not in inbox.messages

    async def test_the_death_of_the_step_parent_ends_its_steps_and_no_more(
        self, running: tuple[Backend, Inbox], place: str
    ) -> None:
        backend, inbox = running
        task = make_task("import os, time\nprint(os.getppid(), flush=True)\ntime.sleep(60)")
        await backend.submit(task)
        parent = (await inbox.saw(task, "output"))["message"]["text"].strip()
        pod = (await inbox.saw(task, "started"))["worker"].partition(":")[0]
        kubectl("exec", pod, "-n", place, "--", "python", "-c", f"import os; os.kill({parent}, 9)")
        assert (await inbox.finished(task))["state"] in ("failed", "lost")
        following = make_task("pass")
        await backend.submit(following)
        assert (await inbox.finished(following))["state"] == "succeeded"

    async def test_close_ends_every_step_and_leaves_no_process(self, fresh: Callable[[], Backend], place: str) -> None:
        backend: Any = fresh()
        inbox = Inbox()
        await backend.start(inbox.listen)
        runs = make_task("import time\nprint('begun', flush=True)\ntime.sleep(60)", cpu=2.0)
        waits = make_task("pass")
        await backend.submit(runs)
        await backend.submit(waits)
        await inbox.saw(runs, "output")
        pid = backend.pid
        await backend.close()
        for task in (runs, waits):
            assert inbox.messages[task.token][-1]["kind"] == "finished"
            assert inbox.messages[task.token][-1]["state"] in ("cancelled", "lost")
        assert subprocess.run(["kill", "-0", str(pid)], capture_output=True, check=False).returncode != 0
