"""ManagedApi: applying, reading and deleting any object, and asking what one may do."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from typing import Any, Self, TypeVar

from cellyard.backends.dask_on_kubernetes.api import ApiRefused, KubernetesApi
from cellyard.errors import ClusterError, ClusterRefused
from cellyard.kubernetes.objects import Manifest, called, list_path, path_of
from cellyard.kubernetes.rights import Right
from cellyard.model.kubernetes import KubernetesSettings

__all__ = ["ManagedApi", "until"]

_MANAGER = "cellyard"
_REVIEW = "authorization.k8s.io/v1"
_INTERVAL = 0.2

Found = TypeVar("Found")


class ManagedApi(KubernetesApi):
    """As the backend's, for every kind and place. Raises ClusterRefused where rights are missing, ClusterError for
    whatever else the server refuses, ClusterUnreachable when nothing answers."""

    @classmethod
    @contextlib.asynccontextmanager
    async def opened(cls, settings: KubernetesSettings) -> AsyncIterator[Self]:
        """The API server of these settings, for a while; its connections are closed at the end."""
        api = await cls.open(settings)
        try:
            yield api
        finally:
            await api.close()

    async def close(self) -> None:
        """Close the connections."""
        session = self._api._session
        if session is not None:
            await session.aclose()

    async def read(self, manifest: Mapping[str, Any]) -> Manifest | None:
        """The object as the server has it; None when it, or its kind, is not there."""
        try:
            return await self._asked("GET", path_of(manifest))
        except ApiRefused as refused:
            if refused.status == 404:
                return None
            raise _translated(refused, f"read {called(manifest)}") from refused

    async def apply(self, manifest: Mapping[str, Any]) -> Manifest:
        """Server-side apply: what the manifest says holds after the call; what others have set beside it stays."""
        headers = {"content-type": "application/apply-patch+yaml"}
        query = {"fieldManager": _MANAGER, "force": "true"}
        try:
            return await self._asked("PATCH", path_of(manifest), manifest, query=query, headers=headers)
        except ApiRefused as refused:
            raise _translated(refused, f"apply {called(manifest)}") from refused

    async def make(self, manifest: Mapping[str, Any]) -> Manifest:
        """Create the object, and return it as the server has it."""
        path = list_path(manifest["apiVersion"], manifest["kind"], manifest["metadata"].get("namespace"))
        try:
            return await self._asked("POST", path, manifest)
        except ApiRefused as refused:
            raise _translated(refused, f"create {called(manifest)}") from refused

    async def remove(self, manifest: Mapping[str, Any]) -> None:
        """Delete the object, and in the background what belongs to it; nothing when it is gone already."""
        try:
            await self._asked("DELETE", path_of(manifest), {"propagationPolicy": "Background"})
        except ApiRefused as refused:
            if refused.status != 404:
                raise _translated(refused, f"delete {called(manifest)}") from refused

    async def all_of(self, version: str, kind: str, namespace: str | None = None, selector: str = "") -> list[Manifest]:
        """The objects of a kind, in a namespace or everywhere; none when the cluster does not know the kind."""
        query = {"labelSelector": selector} if selector else {}
        try:
            found = await self._asked("GET", list_path(version, kind, namespace), query=query)
        except ApiRefused as refused:
            if refused.status == 404:
                return []
            raise _translated(refused, f"list {kind}s in {namespace or 'all namespaces'}") from refused
        return [{"apiVersion": version, "kind": kind, **each} for each in found.get("items") or ()]

    async def missing(self, rights: Iterable[Right], namespace: str) -> list[Right]:
        """Those of the rights that we do not have in the namespace."""
        asked = list(rights)
        answers = await asyncio.gather(*(self._may(right, namespace) for right in asked))
        return [right for right, allowed in zip(asked, answers, strict=True) if not allowed]

    async def kinds(self, version: str) -> set[str]:
        """The kinds that the cluster knows in this group and version, in their plural; everybody may ask."""
        try:
            found = await self._asked("GET", f"apis/{version}")
        except ApiRefused as refused:
            if refused.status == 404:
                return set()
            raise _translated(refused, f"look at {version}") from refused
        return {each["name"] for each in found.get("resources") or ()}

    async def _may(self, right: Right, namespace: str) -> bool:
        review = {
            "apiVersion": _REVIEW,
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": right.attributes(namespace)},
        }
        try:
            found = await self._asked("POST", list_path(_REVIEW, "SelfSubjectAccessReview"), review)
        except ApiRefused as refused:
            raise _translated(refused, "ask for rights") from refused
        return bool(found["status"].get("allowed"))

    async def _asked(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        more: dict[str, Any] = {"params": dict(query or {}), "headers": dict(headers or {})}
        if body is not None:
            more["content"] = json.dumps(body)
        async with self._response(method, path, **more) as response:
            found: dict[str, Any] = response.json()
            return found


async def until(what: str, look: Callable[[], Awaitable[Found | None]], *, timeout: float) -> Found:
    """What ``look`` finds, asked again and again; ClusterError with ``what`` was awaited after the seconds given."""
    deadline = time.monotonic() + timeout
    while (found := await look()) is None:
        if time.monotonic() > deadline:
            raise ClusterError(f"{what} within {timeout:.0f} s.")
        await asyncio.sleep(_INTERVAL)
    return found


def _translated(refused: ApiRefused, wanted: str) -> ClusterError:
    if refused.status in (401, 403):
        hint = f"Ask whoever looks after the cluster to let you {wanted}, or to do it for you."
        return ClusterRefused(reason=refused.message, hint=hint)
    return ClusterError(f"Kubernetes would not {wanted}: {refused.message}")
