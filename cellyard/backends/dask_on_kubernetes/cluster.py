"""Cluster: the engine's DaskCluster and its worker groups, made, found again and deleted. Only what is our own.

Everything belongs to the DaskCluster (owner references), so that its deletion takes all along. The operator deletes it
when its scheduler has been without an engine for long; another engine does, when it has neither a scheduler nor an
engine that promised to look after it.
"""

from __future__ import annotations

import asyncio
import json
import random
import string
import time
from collections.abc import Mapping
from typing import Any

from cellyard.backends.dask_on_kubernetes.api import ApiRefused, KubernetesApi
from cellyard.backends.dask_on_kubernetes.pod_specs import (
    ALIVE,
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

_GONE_WITHIN = 60.0
_POLL = 0.2
_LETTERS = string.ascii_lowercase + string.digits
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
        self.made = 0.0

    @property
    def exists(self) -> bool:
        """Whether we have made it or found it, and not deleted it."""
        return self._owner is not None

    async def ensure(self) -> bool:
        """Have a DaskCluster, and the Secret of its workers; True when it is new."""
        if self._owner is not None:
            return False
        found = await self._translated(self._settled())
        if found is None:
            deadline = DEADLINE + int(self._settings.idle)
            body = dask_cluster(
                self.names,
                self._settings,
                topic=self._topic,
                deadline=deadline,
                alive=time.time() + ALIVE_FOR,
            )
            found = await self._translated(self._api.create(body))
            self.made = time.monotonic()
            self._owner = found
            if self._secret:
                secret = store_secret(self.names, self._secret, owner=found)
                await self._translated(self._api.replace(secret))
            return True
        self._owner = found
        await self.renew()
        return False

    async def reacted(self) -> bool:
        """Whether the operator has begun to make what we asked for."""
        found = await self._translated(self._api.get("DaskCluster", self.names.cluster))
        return found is not None and bool((found.get("status") or {}).get("phase"))

    async def create_worker(self, shape: Shape) -> str:
        """Ask for a worker; returns its name."""
        assert self._owner is not None
        name = f"{self.names.cluster}-{''.join(random.choices(_LETTERS, k=5))}"
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
        groups = await self._translated(self._api.list("DaskWorkerGroup", f"{ENGINE}={self.names.engine}"))
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
            await self._translated(self._api.delete("DaskCluster", self.names.cluster, uid=owner["metadata"]["uid"]))

    def forget(self) -> None:
        """It is not there any more: someone else has deleted it."""
        self._owner = None

    async def sweep(self) -> list[str]:
        """Delete clusters of engines that have broken their promise and whose scheduler does not run; the operator
        cannot ask it then, and nobody else would. Returns their names."""
        swept = []
        for each in await self._translated(self._api.list("DaskCluster", _MANAGED)):
            meta = each["metadata"]
            alive = float((meta.get("annotations") or {}).get(ALIVE, "inf"))
            name = meta["name"]
            if alive > time.time() or name == self.names.cluster or await self._has_scheduler(name):
                continue
            await self._translated(self._api.delete("DaskCluster", name, uid=meta["uid"]))
            swept.append(name)
        return swept

    async def _has_scheduler(self, name: str) -> bool:
        selector = f"dask.org/cluster-name={name},dask.org/component=scheduler"
        pods = await self._translated(self._api.list("Pod", selector))
        return any((pod.get("status") or {}).get("phase") == "Running" for pod in pods)

    async def _settled(self) -> dict[str, Any] | None:
        """Our DaskCluster, if there is one; waits until one that is being deleted has gone."""
        deadline = time.monotonic() + _GONE_WITHIN
        while True:
            found = await self._api.get("DaskCluster", self.names.cluster)
            if found is None or not found["metadata"].get("deletionTimestamp"):
                return found
            if time.monotonic() > deadline:
                reason = f"{self.names.cluster} is being deleted, and was not gone within {_GONE_WITHIN:g} s"
                raise OperatorMissing(reason=reason, hint="Look with: cellyard kubernetes check")
            await asyncio.sleep(_POLL)

    async def _translated(self, request: Any) -> Any:
        try:
            return await request
        except ApiRefused as refused:
            raise _in_words(refused, self.names.namespace) from refused


def _in_words(refused: ApiRefused, namespace: str) -> CellyardError:
    hint = "`cellyard kubernetes install` makes what is missing; `cellyard kubernetes check` shows each link."
    if refused.status in (401, 403) and "exceeded quota" not in refused.message:
        return ClusterRefused(reason=refused.message, hint=hint)
    if refused.status == 404 and f'namespaces "{namespace}"' in refused.message:
        return ClusterRefused(reason=f"there is no namespace {namespace}", hint=hint)
    if refused.status == 404:
        return OperatorMissing(reason="this cluster does not know DaskCluster and DaskWorkerGroup", hint=hint)
    return ClusterError(f"Kubernetes refused ({refused.status} {refused.reason}): {refused.message}")
