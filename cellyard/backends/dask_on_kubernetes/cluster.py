"""Cluster: the engine's DaskCluster and its worker groups, made, found again and deleted. Only what is our own.

Everything belongs to the DaskCluster (owner references), so that its deletion takes all along. The operator deletes it
when its scheduler has been without an engine for long; another engine does, when it has neither a scheduler nor an
engine that promised to look after it.
"""

from __future__ import annotations

import json
import random
import string
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cellyard.backends.dask_on_kubernetes.api import ApiRefused, KubernetesApi
from cellyard.backends.dask_on_kubernetes.pod_specs import (
    ALIVE,
    CLUSTER,
    ENGINE,
    SHAPE,
    Names,
    dask_cluster,
    store_secret,
    worker_group,
)
from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.errors import CellyardError, ClusterError, ClusterRefused, OperatorMissing
from cellyard.model.kubernetes import KubernetesSettings

__all__ = ["ALIVE_FOR", "RENEW_EVERY", "Cluster"]

ALIVE_FOR = 900.0
RENEW_EVERY = 120.0
"""Seconds for which an engine promises to look after its cluster, and between two such promises."""

DEADLINE = 600
"""Seconds that a scheduler keeps its cluster without an engine and without a step, beyond the idle time."""

_MANAGED = "app.kubernetes.io/managed-by=cellyard"


class Cluster:
    """One engine's objects in one namespace. Raises ClusterError and its children."""

    def __init__(
        self,
        api: KubernetesApi,
        names: Names,
        settings: KubernetesSettings,
        *,
        store: str,
        topic: str,
        secret: Mapping[str, str],
    ) -> None:
        self._api = api
        self.names = names
        self._settings = settings
        self._store = store
        self._topic = topic
        self._secret = secret
        self._owner: dict[str, Any] | None = None

    @property
    def exists(self) -> bool:
        """Whether we have made it or found it, and not deleted it."""
        return self._owner is not None

    async def ensure(self) -> bool:
        """Have a DaskCluster, and the Secret of its workers; True when it is new."""
        if await self.find():
            return False
        name = f"{self.names.prefix}-{_letters(3)}"
        body = dask_cluster(
            replace(self.names, cluster=name),
            self._settings,
            topic=self._topic,
            deadline=DEADLINE + int(self._settings.idle),
            alive=time.time() + ALIVE_FOR,
        )
        made = await self._translated(self._api.create(body))
        self._own(made)
        if self._secret:
            secret = store_secret(self.names, self._secret, owner=made)
            await self._translated(self._api.create(secret))
        return True

    async def find(self) -> bool:
        """Take over the DaskCluster that a process of this engine before us has made; False when there is none."""
        if self._owner is not None:
            return True
        found = await self._ours()
        if found is not None:
            self._own(found)
            await self.renew()
        return found is not None

    def _own(self, found: dict[str, Any]) -> None:
        self._owner = found
        self.names = replace(self.names, cluster=found["metadata"]["name"])

    async def _ours(self) -> dict[str, Any] | None:
        """The DaskCluster that a process of this engine before us has made, unless it is being deleted."""
        found = await self._translated(self._api.all("DaskCluster", f"{ENGINE}={self.names.engine}"))
        there = [each for each in found if not each["metadata"].get("deletionTimestamp")]
        return max(there, key=lambda each: str(each["metadata"]["creationTimestamp"]), default=None)

    async def look(self) -> str:
        """What the operator has made of the DaskCluster: its phase, "" when it has not taken notice of it, "gone" when
        someone has deleted it; it is then forgotten here."""
        found = await self._translated(self._api.get("DaskCluster", self.names.cluster))
        if found is None or found["metadata"].get("deletionTimestamp"):
            self._owner = None
            return "gone"
        return str((found.get("status") or {}).get("phase") or "")

    async def create_worker(self, shape: Shape) -> str:
        """Ask for a worker; returns its name."""
        assert self._owner is not None
        name = f"{self.names.cluster}-{_letters(4)}"
        body = worker_group(
            self.names,
            name,
            shape,
            self._settings,
            owner=self._owner,
            store=self._store,
            topic=self._topic,
            with_secret=bool(self._secret),
        )
        await self._translated(self._api.create(body))
        return name

    async def workers(self) -> dict[str, Shape]:
        """The workers that were asked for, by us or by a process of this engine before us."""
        groups = await self._translated(self._api.all("DaskWorkerGroup", f"dask.org/cluster-name={self.names.cluster}"))
        return {
            group["metadata"]["name"]: Shape.from_dict(json.loads(group["metadata"]["annotations"][SHAPE]))
            for group in groups
            if SHAPE in (group["metadata"].get("annotations") or {}) and not group["metadata"].get("deletionTimestamp")
        }

    async def delete_worker(self, name: str) -> None:
        """Let a worker go, whole."""
        await self._translated(self._api.delete("DaskWorkerGroup", name))

    async def renew(self) -> None:
        """Promise to look after the cluster for some more time."""
        change = {"metadata": {"annotations": {ALIVE: f"{time.time() + ALIVE_FOR:.0f}"}}}
        await self._translated(self._api.patch("DaskCluster", self.names.cluster, change))

    async def delete(self) -> None:
        """Delete the DaskCluster, and with it everything that is ours."""
        owner, self._owner = self._owner, None
        if owner is not None:
            uid = owner["metadata"]["uid"]
            await self._translated(self._api.delete("DaskCluster", self.names.cluster, uid=uid, whole=True))

    async def sweep(self) -> list[str]:
        """Delete clusters of engines that have broken their promise and whose scheduler does not run; the operator
        cannot ask it then, and nobody else would. Returns their names."""
        swept = []
        for each in await self._translated(self._api.all("DaskCluster", _MANAGED)):
            meta = each["metadata"]
            alive = float((meta.get("annotations") or {}).get(ALIVE, "inf"))
            name = meta["name"]
            if (
                alive > time.time()
                or meta["labels"].get(ENGINE) == self.names.engine
                or await self._has_scheduler(name)
            ):
                continue
            await self._translated(self._api.delete("DaskCluster", name, uid=meta["uid"], whole=True))
            swept.append(name)
        return swept

    async def _has_scheduler(self, name: str) -> bool:
        selector = f"{CLUSTER}={name},dask.org/component=scheduler"
        pods = await self._translated(self._api.all("Pod", selector))
        return any((pod.get("status") or {}).get("phase") == "Running" for pod in pods)

    async def _translated(self, request: Any) -> Any:
        try:
            return await request
        except ApiRefused as refused:
            raise _in_words(refused, self.names.namespace) from refused


def _letters(count: int) -> str:
    return "".join(random.choices(string.ascii_lowercase + string.digits, k=count))


def _in_words(refused: ApiRefused, namespace: str) -> CellyardError:
    hint = "`cellyard kubernetes install` makes what is missing; `cellyard kubernetes check` shows each link."
    if refused.status in (401, 403) and "exceeded quota" not in refused.message:
        return ClusterRefused(reason=refused.message, hint=hint)
    if refused.status == 404 and f'namespaces "{namespace}"' in refused.message:
        return ClusterRefused(reason=f"there is no namespace {namespace}", hint=hint)
    if refused.status == 404:
        return OperatorMissing(reason="this cluster does not know DaskCluster and DaskWorkerGroup", hint=hint)
    return ClusterError(f"Kubernetes refused ({refused.status} {refused.reason}): {refused.message}")
