"""PodWatch: the pods and events of one engine as Kubernetes tells of them, always the latest."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from cellyard.backends.dask_on_kubernetes.api import ApiRefused, KubernetesApi
from cellyard.backends.dask_on_kubernetes.pod_specs import CLUSTER, ENGINE, GROUP, Names
from cellyard.errors import ClusterError

__all__ = ["PodWatch"]

_PAUSE = 1.0
_KEPT = 120.0
"""Seconds that what is known of a pod is kept after its end."""

Object = dict[str, Any]


class PodWatch:
    """Follows pods and events; ``changed`` is called after each change.

    Without the right to see events it goes on without them: then less can be said about what does not work.
    """

    def __init__(self, api: KubernetesApi, names: Names, changed: Callable[[], None]) -> None:
        self._api = api
        self._names = names
        self._changed = changed
        self._pods: dict[str, Object] = {}
        self._deleted: dict[str, float] = {}
        self._events: defaultdict[str, dict[str, Object]] = defaultdict(dict)
        self._tasks: list[asyncio.Task[None]] = []

    def start(self) -> None:
        """Follow until :meth:`close`."""
        selector = f"{ENGINE}={self._names.engine}"
        for kind, labels, apply in (("Pod", selector, self._on_pod), ("Event", "", self._on_event)):
            self._tasks.append(asyncio.create_task(self._follow(kind, labels, apply)))

    async def close(self) -> None:
        """Follow no more."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def pod(self, group: str, name: str | None = None) -> Object | None:
        """The newest pod of a worker, or the one of that name; as it was last, when it is gone by now."""
        if name is not None and name in self._pods:
            return self._pods[name]
        found = [pod for pod in self._pods.values() if _labels(pod).get(GROUP) == group]
        return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def scheduler_pod(self, cluster: str) -> Object | None:
        """The newest pod of that DaskCluster's scheduler that is still there."""
        found = [
            pod
            for name, pod in self._pods.items()
            if _labels(pod).get("dask.org/component") == "scheduler"
            and _labels(pod).get(CLUSTER) == cluster
            and name not in self._deleted
            and not pod["metadata"].get("deletionTimestamp")
        ]
        return max(found, key=lambda pod: str(pod["metadata"]["creationTimestamp"]), default=None)

    def is_deleted(self, pod: Object) -> bool:
        """Whether Kubernetes has said that the pod is no more."""
        return pod["metadata"]["name"] in self._deleted

    def events(self, prefix: str) -> list[Object]:
        """The events about objects whose name begins so, oldest first."""
        found = [event for name, each in self._events.items() if name.startswith(prefix) for event in each.values()]
        return sorted(found, key=_when)

    async def _follow(self, kind: str, selector: str, apply: Callable[[str, Object], None]) -> None:
        while True:
            try:
                items, version = await self._api.list_from(kind, selector)
                self._relist(kind, items, apply)
                # A server that ends a watch at once must not be asked without pause.
                begun = time.monotonic()
                async for change, thing in self._api.watch(kind, selector, version):
                    apply(change, thing)
                    self._changed()
                await asyncio.sleep(max(0.0, _PAUSE - (time.monotonic() - begun)))
            except ApiRefused as refused:
                if refused.status == 403 and kind == "Event":
                    return
                await asyncio.sleep(_PAUSE)
            except ClusterError:
                await asyncio.sleep(_PAUSE)

    def _relist(self, kind: str, items: list[Object], apply: Callable[[str, Object], None]) -> None:
        if kind == "Pod":
            present = {each["metadata"]["name"] for each in items}
            for name in self._pods.keys() - present - self._deleted.keys():
                self._deleted[name] = time.monotonic()
        for each in items:
            apply("ADDED", each)
        self._changed()

    def _on_pod(self, change: str, pod: Object) -> None:
        name = pod["metadata"]["name"]
        self._pods[name] = pod
        if change == "DELETED":
            self._deleted[name] = time.monotonic()
        for old, moment in list(self._deleted.items()):
            if time.monotonic() - moment > _KEPT:
                del self._deleted[old]
                self._pods.pop(old, None)

    def _on_event(self, change: str, event: Object) -> None:
        about = str((event.get("involvedObject") or {}).get("name") or "")
        if not about.startswith(self._names.prefix):
            return
        if change == "DELETED":
            with contextlib.suppress(KeyError):
                del self._events[about][event["metadata"]["name"]]
        else:
            self._events[about][event["metadata"]["name"]] = event


def _labels(pod: Object) -> dict[str, str]:
    return pod["metadata"].get("labels") or {}


def _when(event: Object) -> str:
    return str(event.get("lastTimestamp") or event.get("eventTime") or event["metadata"].get("creationTimestamp") or "")
