"""Crew: the workers of one engine, hired and let go; and what they do with its steps."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cellyard.backends.dask_on_kubernetes.api import KubernetesApi, inside_cluster
from cellyard.backends.dask_on_kubernetes.attendance import NOT_THERE, Attendance, Worker
from cellyard.backends.dask_on_kubernetes.cluster import RENEW_EVERY, Cluster
from cellyard.backends.dask_on_kubernetes.pod_specs import HTTP_PORT, PORT, Names
from cellyard.backends.dask_on_kubernetes.roster import Limits, WorkerFacts, decide
from cellyard.backends.dask_on_kubernetes.tasks import Task, Tasks
from cellyard.backends.dask_on_kubernetes.troubles import Troubles, last_message
from cellyard.backends.dask_on_kubernetes.tunnel import SCHEME, use_api
from cellyard.backends.dask_on_kubernetes.watching import PodWatch
from cellyard.errors import ClusterError
from cellyard.model.kubernetes import KubernetesSettings

__all__ = ["Crew"]

_LOOK_AGAIN = 1.0
_NOTE_BROKEN = 5.0
"""Seconds without a connection after which those who wait for a step hear of it."""
_FIND_POLL = 0.05
_FIND_WITHIN = 5.0


class Crew(Attendance):
    """Everything about workers. ``changed`` is called when a round is due."""

    def __init__(
        self, config: Mapping[str, Any], settings: KubernetesSettings, tasks: Tasks, changed: Callable[[], None]
    ) -> None:
        super().__init__(config, settings, tasks, changed)
        self._cluster: Cluster | None = None
        self._renewed = time.monotonic()
        most = {"cpu": settings.max_cpu, "memory": settings.max_memory, "gpu": settings.max_gpu}
        given = {key: float(value) for key, value in most.items() if value is not None}
        self._limits = Limits(**given, workers=settings.max_workers, idle=settings.idle)

    @property
    def dashboard(self) -> str:
        """The command that leads to it; its port is the pod's."""
        pod = self._troubles.scheduler_pod() if self._cluster is not None and self._cluster.exists else None
        if pod is None:
            return ""
        metadata = pod["metadata"]
        return f"kubectl port-forward -n {metadata['namespace']} pod/{metadata['name']} {HTTP_PORT}"

    # Rounds.

    async def round(self, flushed: Callable[[], Awaitable[None]]) -> float | None:
        """Look at everything and do what follows; returns the seconds after which to look again in any case.

        Raises ClusterError. ``flushed`` returns once the engine has been told what was said before.
        """
        if not len(self._tasks) and (self._cluster is None or not self._cluster.exists):
            return None
        cluster = await self._open()
        if len(self._tasks):
            self._used = time.monotonic()
            await self._have(cluster)
        await self._renew(cluster)
        await self._check_there(cluster)
        later = await self._staff(cluster, flushed)
        self._tasks.calm()
        if not len(self._tasks) and not self._workers:
            later = self._used + self._limits.idle - time.monotonic()
            if later <= 0:
                await self._close_cluster(cluster)
                return None
        return min(later, RENEW_EVERY)

    async def _open(self) -> Cluster:
        """Reach the API server and begin to look at pods, once."""
        if self._cluster is None:
            api = await KubernetesApi.open(self._settings)
            use_api(api)
            names = Names(self._config["engine"], api.namespace)
            cluster = Cluster(
                api,
                names,
                self._settings,
                store=self._config["store"],
                topic=self._topic,
                secret=self._config["secret"],
            )
            self._api = api
            self._watch = PodWatch(api, names, self._changed)
            self._troubles = Troubles(api, cluster, self._watch)
            self._connect(self._find_scheduler, None)
            self._watch.start()
            self._cluster = cluster
            self._background.spawn(self._sweep(cluster))
        return self._cluster

    async def _have(self, cluster: Cluster) -> None:
        """Have a DaskCluster; find the workers that one from before has."""
        if cluster.exists:
            return
        if not self._tasks.waiting() and not await cluster.find():
            for task in self._tasks:
                self._tasks.lose(task, NOT_THERE)
            return
        is_new = await cluster.ensure()
        self._troubles.begin()
        self._renewed = self._used = time.monotonic()
        if not is_new:
            now = time.monotonic()
            self._workers = {name: Worker(name, shape, now) for name, shape in (await cluster.workers()).items()}
        self._connection.start()

    async def _renew(self, cluster: Cluster) -> None:
        if cluster.exists and time.monotonic() - self._renewed > RENEW_EVERY:
            await cluster.renew()
            self._renewed = time.monotonic()

    async def _check_there(self, cluster: Cluster) -> None:
        """While there is no connection: someone may have deleted the DaskCluster. What runs in it has ended then; what
        waits gets another."""
        if not cluster.exists or self._connection.is_up or await cluster.look() != "gone":
            return
        await self._connection.close()
        self._workers.clear()
        for task in self._tasks:
            if task.sent and not task.losing:
                self._tasks.lose(task, "The Dask cluster was deleted, and the step with it.")
        self._changed()

    async def _close_cluster(self, cluster: Cluster) -> None:
        await self._connection.close()
        await cluster.delete()

    async def _staff(self, cluster: Cluster, flushed: Callable[[], Awaitable[None]]) -> float:
        """Give steps to workers, hire and let go. Returns when to look again."""
        now = time.monotonic()
        for worker in self._workers.values():
            starts = worker.address is None
            worker.trouble = self._troubles.of_worker(worker.name, worker.shape, worker.since) if starts else None
        facts = [self._facts(worker) for worker in self._workers.values()]
        decided = decide(self._tasks.waiting(), facts, self._limits, now)
        for name in decided.delete:
            await self._let_go(cluster, name)
        await self._hand_out(decided.assign, flushed)
        for token, shape in decided.create.items():
            if self._tasks.get(token) is not None:
                name = await cluster.create_worker(shape)
                self._workers[name] = Worker(name, shape, time.monotonic())
                self._tasks.hire(token)
        await self._report(cluster, decided.await_)
        starts = not self._connection.is_up or any(each.address is None for each in self._workers.values())
        later = decided.later if decided.later is not None else RENEW_EVERY
        return min(later, _LOOK_AGAIN) if starts else later

    def _facts(self, worker: Worker) -> WorkerFacts:
        short = worker.trouble is not None and worker.trouble.short
        return WorkerFacts(worker.name, worker.shape, self.state_of(worker), worker.idle_since, short)

    async def _let_go(self, cluster: Cluster, name: str) -> None:
        if self._workers.pop(name, None) is not None:
            await cluster.delete_worker(name)

    async def _report(self, cluster: Cluster, awaited: Mapping[str, str]) -> None:
        """Say under the cells of steps that wait what keeps them waiting, and fail those that wait in vain."""
        general = None
        if not self._connection.is_up and len(self._tasks):
            general = await self._troubles.of_cluster()
            if time.monotonic() - self._broken_since > _NOTE_BROKEN:
                why = f": {general.text}" if general is not None else ""
                for each in self._tasks:
                    if each.sent:
                        self._tasks.note(each, f"there is no connection to the cluster, where the step goes on{why}")
        for token, name in awaited.items():
            task, worker = self._tasks.get(token), self._workers.get(name)
            trouble = general or (worker.trouble if worker is not None else None)
            if task is None or trouble is None:
                continue
            if trouble.error is None:
                self._tasks.note(task, trouble.text)
                continue
            self._tasks.fail(task, await self._troubles.explained(trouble.error, name))
            await self._let_go(cluster, name)
        if general is not None and general.error is not None and not any(task.sent for task in self._tasks):
            # Whoever comes next may have set another image meanwhile.
            await self._close_cluster(cluster)

    # The scheduler.

    async def _find_scheduler(self) -> str:
        """The address of the scheduler, once its pod runs."""
        assert self._cluster is not None
        deadline = time.monotonic() + _FIND_WITHIN
        while time.monotonic() < deadline:
            pod = self._troubles.scheduler_pod()
            if pod is not None and (pod.get("status") or {}).get("phase") == "Running":
                address = pod["status"].get("podIP")
                if inside_cluster() and address:
                    # Not by the Service's name: that is made at the same time, and that it is unknown is remembered.
                    return f"tcp://[{address}]:{PORT}" if ":" in address else f"tcp://{address}:{PORT}"
                if not inside_cluster():
                    return f"{SCHEME}://{pod['metadata']['name']}:{PORT}"
            await asyncio.sleep(_FIND_POLL)
        raise TimeoutError("its pod does not run yet")

    async def _bury(self, task: Task, worker: Worker, *, told: str | None = None) -> None:
        """End a step whose worker has gone, with what Kubernetes says of it; let go of what is left of the worker."""
        gone = await self._troubles.why_gone(worker.name, worker.pod, told=told)
        self._tasks.finish(task, last_message(task, gone, worker.pod or worker.name))
        self.forget(task.token)
        await self._replace(worker)

    async def _replace(self, worker: Worker) -> None:
        """A worker that has gone is not waited for: its pod may come back, but nobody knows when and where."""
        assert self._cluster is not None
        try:
            await self._let_go(self._cluster, worker.name)
        except ClusterError:
            self._workers[worker.name] = worker
        self._changed()

    async def dismiss(self) -> None:
        """Delete everything in the cluster. Raises ClusterError."""
        if self._cluster is not None:
            await self._connection.close()
            await self._cluster.delete()

    async def close(self) -> None:
        """Let go of the cluster, and leave it as it is."""
        await super().close()
        if self._is_open:
            await self._watch.close()

    async def _sweep(self, cluster: Cluster) -> None:
        try:
            for name in await cluster.sweep():
                print(f"cellyard: deleted {name}, which no engine looked after any more")
        except ClusterError as error:
            print(f"cellyard: could not look for abandoned clusters: {error}")
