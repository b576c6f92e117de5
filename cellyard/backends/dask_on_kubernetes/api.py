"""KubernetesApi: the few requests that we make of the API server, by way of kr8s, on dictionaries."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any, Self

import httpx
import httpx_ws
import kr8s
import kr8s.asyncio

from cellyard.errors import ClusterError, ClusterUnreachable
from cellyard.model.kubernetes import KubernetesSettings

__all__ = ["ApiRefused", "KubernetesApi", "inside_cluster"]

DEFAULT_NAMESPACE = "cellyard"
ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")

_TIMEOUT = 20.0
_WATCH_SECONDS = 240
_PING_SECONDS = 15.0

_BROKEN = (httpx.HTTPError, kr8s.APITimeoutError, OSError)
_PATHS = {
    "Pod": "api/v1/{}/pods",
    "Event": "api/v1/{}/events",
    "Secret": "api/v1/{}/secrets",
    "DaskCluster": "apis/kubernetes.dask.org/v1/{}/daskclusters",
    "DaskWorkerGroup": "apis/kubernetes.dask.org/v1/{}/daskworkergroups",
}


class ApiRefused(Exception):
    """The API server said no: HTTP status, its reason ("Forbidden", "NotFound", "AlreadyExists"), its sentence."""

    def __init__(self, status: int, reason: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message


def inside_cluster() -> bool:
    """Whether this process runs in a pod."""
    return bool(os.environ.get("KUBERNETES_SERVICE_HOST")) and (ACCOUNT / "namespace").exists()


class KubernetesApi:
    """The API server of one cluster, and our namespace there. Raises ApiRefused, and ClusterUnreachable when nothing
    answers."""

    def __init__(self, api: Any, namespace: str) -> None:
        self._api = api
        self.namespace = namespace

    @classmethod
    async def open(cls, settings: KubernetesSettings) -> Self:
        """Read the kubeconfig or the pod's service account, and make sure that the server answers."""
        try:
            api = await kr8s.asyncio.api(context=settings.context)
        except _BROKEN as error:
            raise ClusterUnreachable(reason=_sentence(error)) from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            reason = f"neither a kubeconfig nor a service account that can be used was found ({error})"
            raise ClusterError(f"Kubernetes cannot be reached: {reason}. Set KUBECONFIG.") from error
        except kr8s.ServerError as error:
            raise ClusterUnreachable(reason=str(error)) from error
        api.timeout = _TIMEOUT
        return cls(api, settings.namespace or _namespace(api))

    @property
    def server(self) -> str:
        """The API server's address."""
        return str(self._api.auth.server)

    async def create(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """Create an object, and return it as the server has it."""
        return await self._call("POST", _path(body["kind"], self.namespace), body)

    async def get(self, kind: str, name: str) -> dict[str, Any] | None:
        """The object, or None."""
        try:
            return await self._call("GET", f"{_path(kind, self.namespace)}/{name}")
        except ApiRefused as refused:
            if refused.status == 404 and name in refused.message:
                return None
            raise

    async def all(self, kind: str, selector: str = "") -> list[dict[str, Any]]:
        """The objects of a kind with these labels."""
        items, _ = await self.list_from(kind, selector)
        return items

    async def list_from(self, kind: str, selector: str = "") -> tuple[list[dict[str, Any]], str]:
        """As :meth:`all`, with the version from which :meth:`watch` goes on."""
        query = {"labelSelector": selector} if selector else {}
        found = await self._call("GET", _path(kind, self.namespace), query=query)
        return found.get("items") or [], found["metadata"]["resourceVersion"]

    async def patch(self, kind: str, name: str, change: Mapping[str, Any]) -> None:
        """Merge a change into an object."""
        await self._call("PATCH", f"{_path(kind, self.namespace)}/{name}", change, merge=True)

    async def delete(self, kind: str, name: str, *, uid: str | None = None, whole: bool = False) -> None:
        """Delete an object and what belongs to it, in the background; nothing when it is gone already. ``whole``: what
        belongs to it goes first, also where something else still holds the object itself."""
        options: dict[str, Any] = {"propagationPolicy": "Foreground" if whole else "Background"}
        if uid is not None:
            options["preconditions"] = {"uid": uid}
        try:
            await self._call("DELETE", f"{_path(kind, self.namespace)}/{name}", options)
        except ApiRefused as refused:
            if refused.status not in (404, 409):
                raise

    async def log_end(self, pod: str, container: str, *, lines: int = 15) -> str:
        """The end of a container's log, or of the one before it; empty when there is none, or it may not be read."""
        path = f"{_path('Pod', self.namespace)}/{pod}/log"
        for previous in ("true", "false"):
            query = {"container": container, "tailLines": str(lines), "previous": previous}
            try:
                async with self._response("GET", path, params=query) as response:
                    if text := str(response.text).strip():
                        return text
            except ApiRefused:
                continue
        return ""

    async def watch(self, kind: str, selector: str, version: str) -> AsyncIterator[tuple[str, dict[str, Any]]]:
        """Changes from that version on: ("ADDED" | "MODIFIED" | "DELETED", object). Ends when the server ends it, or
        no longer knows the version: list again then."""
        query = {"watch": "1", "resourceVersion": version, "timeoutSeconds": str(_WATCH_SECONDS)}
        if selector:
            query["labelSelector"] = selector
        timeout = httpx.Timeout(_TIMEOUT, read=None)
        path = _path(kind, self.namespace)
        async with self._response("GET", path, params=query, stream=True, timeout=timeout) as response:
            lines = response.aiter_lines()
            while True:
                try:
                    change = json.loads(await anext(lines))
                except StopAsyncIteration:
                    return
                except _BROKEN as error:
                    raise ClusterUnreachable(reason=_sentence(error)) from error
                if change["type"] == "ERROR":
                    return
                yield change["type"], change["object"]

    @contextlib.asynccontextmanager
    async def port(self, pod: str, port: int) -> AsyncIterator[httpx_ws.AsyncWebSocketSession]:
        """A connection to a pod's port, through the API server. What is received and sent begins with a byte for the
        channel: 0 is data, 1 an error; the first message of each only names the port."""
        where = {"version": "v1", "url": f"pods/{pod}/portforward", "namespace": self.namespace}
        try:
            async with self._api.open_websocket(
                **where,
                params={"ports": str(port)},
                keepalive_ping_interval_seconds=_PING_SECONDS,
                max_message_size_bytes=1 << 20,
            ) as socket:
                yield socket
        # A group, where a task of the websocket's own has met the broken connection.
        except (httpx_ws.HTTPXWSException, ExceptionGroup, *_BROKEN) as error:
            raise ClusterUnreachable(reason=_sentence(error)) from error

    async def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, str] | None = None,
        merge: bool = False,
    ) -> dict[str, Any]:
        more: dict[str, Any] = {"params": dict(query or {})}
        if body is not None:
            more["content"] = json.dumps(body)
        if merge:
            more["headers"] = {"content-type": "application/merge-patch+json"}
        async with self._response(method, path, **more) as response:
            found: dict[str, Any] = response.json()
            return found

    @contextlib.asynccontextmanager
    async def _response(self, method: str, path: str, **more: Any) -> AsyncIterator[Any]:
        base, _, url = path.partition("/")
        try:
            async with self._api.call_api(method, version="", base=f"/{base}", url=url, **more) as response:
                yield response
        except kr8s.ServerError as error:
            raise _refused(error) from error
        except _BROKEN as error:
            raise ClusterUnreachable(reason=_sentence(error)) from error


def _namespace(api: Any) -> str:
    """The namespace of the context, or of the pod that we are in, else our own."""
    context = getattr(api.auth, "_context", None) or {}
    if context.get("namespace"):
        return str(context["namespace"])
    if not context and (ACCOUNT / "namespace").exists():
        return (ACCOUNT / "namespace").read_text(encoding="ascii").strip()
    return DEFAULT_NAMESPACE


def _path(kind: str, namespace: str) -> str:
    return _PATHS[kind].format(f"namespaces/{namespace}")


def _refused(error: kr8s.ServerError) -> ApiRefused:
    status = error.response.status_code if error.response is not None else 500
    reason = error.status.get("reason", "") if isinstance(error.status, dict) else ""
    return ApiRefused(status, str(reason), str(error))


def _sentence(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
