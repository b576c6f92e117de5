"""Troubles: why a worker does not start, and why one has gone, as Kubernetes and the scheduler let it be known."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

from cellyard.backends.base import Message, cancelled, finished, lost
from cellyard.backends.dask_on_kubernetes.api import KubernetesApi
from cellyard.backends.dask_on_kubernetes.cluster import Cluster
from cellyard.backends.dask_on_kubernetes.failures import Gone, Waiting, why_gone, why_waiting
from cellyard.backends.dask_on_kubernetes.pod_specs import CONTAINER, SCHEDULER_SHAPE
from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.backends.dask_on_kubernetes.tasks import Task
from cellyard.backends.dask_on_kubernetes.watching import PodWatch
from cellyard.errors import CellyardError, OperatorMissing, StepKilled, StepOutOfMemory, WorkerTaken, WorkerUnstartable
from cellyard.worker.pool import out_of_memory

__all__ = ["Troubles", "last_message"]

_EVIDENCE_WITHIN = 3.0
"""Seconds in which Kubernetes says why a worker has gone; what it has not said by then is not known."""
_LOST_NODE_WITHIN = 60.0
_EVIDENCE_POLL = 0.1
_OPERATOR_NOTE, _OPERATOR_FINAL = 4.0, 30.0
"""Seconds without any reaction of the operator after which that is said, and after which it is final."""


class Troubles:
    """What is known of one DaskCluster's pods, in sentences."""

    def __init__(self, api: KubernetesApi, cluster: Cluster, watch: PodWatch) -> None:
        self._api = api
        self._cluster = cluster
        self._watch = watch
        self._operator_seen = False
        self._since = time.monotonic()

    def begin(self) -> None:
        """The DaskCluster was asked for now."""
        self._operator_seen = False
        self._since = time.monotonic()

    def scheduler_pod(self) -> Mapping[str, Any] | None:
        """The scheduler's pod, as far as there is one."""
        return self._watch.scheduler_pod(self._cluster.names.cluster)

    def of_worker(self, name: str, shape: Shape, since: float) -> Waiting | None:
        """Why a worker that has been wanted since then is not there."""
        seconds = time.monotonic() - since
        events = self._watch.events(name)
        return why_waiting(self._watch.pod(name), events, shape, seconds=seconds, namespace=self._api.namespace)

    async def of_cluster(self) -> Waiting | None:
        """Why there is no scheduler. Raises ClusterError."""
        pod = self.scheduler_pod()
        events = self._watch.events(self._cluster.names.scheduler)
        seconds = time.monotonic() - self._since
        found = why_waiting(pod, events, SCHEDULER_SHAPE, seconds=seconds, namespace=self._api.namespace)
        if found is not None:
            return Waiting(f"the pod of the Dask scheduler: {found.text}", found.error, short=found.short)
        return await self._of_operator()

    async def _of_operator(self) -> Waiting | None:
        """The operator is there when it has touched anything of ours."""
        waited = time.monotonic() - self._since
        if self._operator_seen or waited < _OPERATOR_NOTE:
            return None
        if self.scheduler_pod() is not None or await self._cluster.look():
            self._operator_seen = True
            return None
        reason = "it has not taken notice of what was asked for"
        hint = "`cellyard kubernetes install` installs it; `cellyard kubernetes check` shows each link."
        error = OperatorMissing(reason=reason, hint=hint) if waited > _OPERATOR_FINAL else None
        return Waiting(f"the Dask operator does not answer: {reason}; is it running?", error)

    async def explained(self, error: CellyardError, worker: str) -> CellyardError:
        """The error, with the end of the container's log where that tells why."""
        pod = self._watch.pod(worker) or self.scheduler_pod()
        if not isinstance(error, WorkerUnstartable) or pod is None:
            return error
        name, container = pod["metadata"]["name"], pod["spec"]["containers"][0].get("name", CONTAINER)
        log = await self._api.log_end(name, container)
        lines = "".join(f"\n    {line}" for line in log.splitlines())
        return WorkerUnstartable(reason=error.reason, log=f" The end of its log:{lines}") if lines else error

    async def why_gone(self, worker: str, pod_name: str | None, *, told: str | None = None) -> Gone:
        """Why a worker has gone; waits a moment for Kubernetes to say so, and longer where it takes the pod for one
        that runs: it notices late that a node is lost. ``told`` is what Dask says of it."""
        begun = time.monotonic()
        while True:
            pod = self._watch.pod(worker, pod_name)
            gone = why_gone(pod, self._watch.events(worker))
            is_over = pod is None or self._watch.is_deleted(pod)
            if gone.kind not in ("unknown", "deleted") or is_over:
                return gone
            waited = time.monotonic() - begun
            if waited > (_LOST_NODE_WITHIN if gone.kind == "unknown" else _EVIDENCE_WITHIN):
                return Gone(gone.kind, told or gone.text) if gone.kind == "unknown" else gone
            await asyncio.sleep(_EVIDENCE_POLL)


def last_message(task: Task, gone: Gone, place: str) -> Message:
    """How a step ends whose worker at ``place`` has gone. Pure."""
    name = task.task.name
    if task.asked == "cancel":
        return cancelled(name)
    if gone.kind == "memory":
        seen = max(task.peak, task.memory)
        error = StepOutOfMemory(**out_of_memory(name, seen, task.shape.memory, killed=True))
        return finished("failed", error, cause=gone.text, peak=task.peak)
    if gone.kind == "disk":
        killed = StepKilled(step=name, reason="used more local disk than it may", hint=f"{gone.text} Try --disk.")
        return finished("failed", killed, cause=gone.text, peak=task.peak)
    if gone.kind == "taken":
        return finished("lost", WorkerTaken(step=name, worker=place, hint=gone.text), cause=gone.text, peak=task.peak)
    return lost(name, worker=place, cause=gone.text, peak=task.peak)
