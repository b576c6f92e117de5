"""Install and uninstall: apply what the manifests say, and take away exactly that.

What is there already and is not labelled as ours is left as it is. Nothing is taken away that would leave DaskClusters
behind: the operator has put a mark on each, and without it they could never be deleted.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import Any

from cellyard.errors import ClusterError, ClusterRefused
from cellyard.kubernetes.api import ManagedApi, until
from cellyard.kubernetes.manifests import OPERATOR_NAME, Installation, account_manifests, operator_manifests, served_by
from cellyard.kubernetes.objects import Manifest, called, is_ours

__all__ = ["Change", "install", "serving", "uninstall", "waiting_reason"]

_DASK = "kubernetes.dask.org/v1"
_STARTS_WITHIN = 120.0
_GONE_WITHIN = 90.0
_LOOK_AGAIN = 0.5
_CHART = "app.kubernetes.io/name=dask-kubernetes-operator"
_OURS = "app.kubernetes.io/name=cellyard,app.kubernetes.io/component=operator"
# What would be lost with a namespace. Accounts, rights and the cluster's own certificate come with every namespace.
_KEPT_FOR = (
    ("v1", "Pod"),
    ("v1", "PersistentVolumeClaim"),
    ("v1", "Secret"),
    ("v1", "ConfigMap"),
    ("v1", "Service"),
    ("apps/v1", "Deployment"),
    ("batch/v1", "Job"),
    ("batch/v1", "CronJob"),
)


@dataclass(frozen=True, slots=True)
class Change:
    """What has become of one object, and why if that is not plain."""

    object: str
    became: str
    note: str = ""


async def install(
    api: ManagedApi, wanted: Installation, definitions: Iterable[Manifest], *, everywhere: bool
) -> AsyncIterator[Change]:
    """Make it so, and tell each change; on return the operator runs.

    An operator that is there already goes on serving the namespaces that it served.
    """
    for each in definitions:
        yield await _put(api, each)
    for each in definitions:
        await until(f"{called(each)} was not accepted", _established(api, each), timeout=30)
    for each in account_manifests(wanted):
        yield await _put(api, each)
    other = await _other_operator(api, wanted)
    if other is not None:
        yield other
        return
    for each in operator_manifests(await serving(api, wanted, everywhere=everywhere)):
        yield await _put(api, each)
    await _rolled_out(api, wanted)


async def uninstall(api: ManagedApi, wanted: Installation, definitions: Iterable[Manifest]) -> AsyncIterator[Change]:
    """Take away what install made for this namespace: the operator too, unless it serves others; and those of the
    ``definitions`` that are ours. Raises ClusterError, with nothing changed, while DaskClusters need them."""
    operator = await _operator(api, wanted)
    served = served_by(operator) if operator else ()
    others = await _present(api, (place for place in served if place != wanted.namespace))
    drops_operator = operator is not None and not others
    everywhere = drops_operator and not served
    await _refuse_while_used(api, None if definitions or everywhere else wanted.namespace)
    if operator is not None and others:
        for each in operator_manifests(replace(wanted, served=others)):
            yield await _put(api, each)
        rights = [
            each for each in operator_manifests(replace(wanted, served=(wanted.namespace,))) if _within(each, wanted)
        ]
    else:
        rights = operator_manifests(replace(wanted, served=served))
    for each in (*reversed(rights), *reversed(account_manifests(wanted))):
        yield await _take(api, each)
    for each in definitions:
        yield await _take(api, each)


async def serving(api: ManagedApi, wanted: Installation, *, everywhere: bool) -> Installation:
    """The installation with the namespaces that the operator is to serve: this one, and those that it serves."""
    operator = await _operator(api, wanted)
    before = served_by(operator) if operator else None
    if everywhere or before == ():
        return replace(wanted, served=())
    return replace(wanted, served=tuple(sorted({wanted.namespace, *await _present(api, before or ())})))


async def _present(api: ManagedApi, places: Iterable[str]) -> tuple[str, ...]:
    """Those of the namespaces that there are; whoever may not look takes them as there."""
    found = []
    for place in places:
        try:
            there = await api.read({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": place}})
        except ClusterRefused:
            there = {}
        if there is not None and not there.get("metadata", {}).get("deletionTimestamp"):
            found.append(place)
    return tuple(found)


def _placed(each: Manifest) -> str:
    return f"{each['metadata']['namespace']}/{each['metadata']['name']}"


def waiting_reason(pod: Manifest) -> str:
    """Why a pod does not run yet, in the words of Kubernetes; nothing when it does not say."""
    status = pod.get("status", {})
    for container in status.get("containerStatuses", ()):
        state = container.get("state", {})
        found = state.get("waiting") or state.get("terminated") or {}
        if found.get("reason") not in (None, "ContainerCreating", "Completed"):
            return f"{found['reason']}: {found.get('message', '')}".rstrip(": ")
    for condition in status.get("conditions", ()):
        if condition.get("status") == "False" and condition.get("reason") == "Unschedulable":
            return f"Unschedulable: {condition.get('message', '')}"
    return ""


async def _put(api: ManagedApi, manifest: Manifest) -> Change:
    before = await api.read(manifest)
    if before is not None and not is_ours(before):
        if manifest["kind"] in ("Namespace", "CustomResourceDefinition"):
            return Change(called(manifest), "kept", "it was there before, and is not changed")
        raise ClusterError(
            f"{called(manifest)} is there already, and is not cellyard's. Choose other namespaces, or delete it."
        )
    after = await api.apply(manifest)
    if before is None:
        return Change(called(manifest), "created")
    same = before["metadata"]["resourceVersion"] == after["metadata"]["resourceVersion"]
    return Change(called(manifest), "unchanged" if same else "changed")


async def _take(api: ManagedApi, manifest: Manifest) -> Change:
    before = await api.read(manifest)
    if before is None:
        return Change(called(manifest), "absent")
    if not is_ours(before):
        return Change(called(manifest), "kept", "it is not cellyard's")
    if manifest["kind"] == "Namespace":
        holds = await _holds(api, manifest["metadata"]["name"])
        if holds:
            return Change(called(manifest), "kept", f"it holds {holds}")
    await api.remove(manifest)

    async def gone() -> bool | None:
        return True if await api.read(manifest) is None else None

    await until(f"{called(manifest)} was not gone", gone, timeout=_GONE_WITHIN)
    return Change(called(manifest), "deleted")


async def _holds(api: ManagedApi, namespace: str) -> str:
    """The first thing that someone may want to keep; pods that are ending do not count."""
    for version, kind in _KEPT_FOR:
        for each in await api.all_of(version, kind, namespace):
            metadata = each["metadata"]
            if metadata["name"] != "kube-root-ca.crt" and not metadata.get("deletionTimestamp"):
                return f"{kind} {metadata['name']}" if not _is_own_pod(each) else ""
    return ""


def _is_own_pod(manifest: Manifest) -> bool:
    return manifest["kind"] == "Pod" and is_ours(manifest)


async def _operator(api: ManagedApi, wanted: Installation) -> Manifest | None:
    place = {"name": OPERATOR_NAME, "namespace": wanted.operator_namespace}
    found = await api.read({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": place})
    return found if found is not None and is_ours(found) else None


async def _other_operator(api: ManagedApi, wanted: Installation) -> Change | None:
    """An operator of dask-kubernetes' own chart serves the cluster already: two would make each pod twice."""
    try:
        charts = await api.all_of("apps/v1", "Deployment", selector=_CHART)
        ours = await api.all_of("apps/v1", "Deployment", selector=_OURS)
    except ClusterRefused:
        # Only in the whole cluster can others be seen; who may not look there has a cluster's owner who knows.
        return None
    if charts:
        return Change(called(charts[0]), "kept", "this operator serves the cluster; no second one is installed")
    for each in ours:
        served = served_by(each)
        if each["metadata"]["namespace"] != wanted.operator_namespace and (not served or wanted.namespace in served):
            return Change(called(each), "kept", f"this operator serves {wanted.namespace}; no second one is installed")
    return None


def _within(manifest: Manifest, wanted: Installation) -> bool:
    return bool(manifest["metadata"].get("namespace") == wanted.namespace)


async def _refuse_while_used(api: ManagedApi, namespace: str | None) -> None:
    """Those that are being deleted are waited for; the operator is needed until they have gone."""
    deadline = time.monotonic() + _GONE_WITHIN
    while found := await api.all_of(_DASK, "DaskCluster", namespace):
        is_ending = all(each["metadata"].get("deletionTimestamp") for each in found)
        if is_ending and time.monotonic() < deadline:
            await asyncio.sleep(_LOOK_AGAIN)
            continue
        raise ClusterError(
            f"still there: DaskCluster {', '.join(map(_placed, found))}. Without the operator and its definitions they "
            "could not be ended properly. Stop the engines (cellyard engine stop), or delete them with kubectl, then "
            "try again."
        )


def _established(api: ManagedApi, manifest: Manifest) -> Any:
    async def look() -> bool | None:
        found = await api.read(manifest) or {}
        conditions = found.get("status", {}).get("conditions") or ()
        return True if any(each["type"] == "Established" and each["status"] == "True" for each in conditions) else None

    return look


async def _rolled_out(api: ManagedApi, wanted: Installation) -> None:
    async def look() -> bool | None:
        found = await _operator(api, wanted)
        if found is None:
            return None
        status, generation = found.get("status", {}), found["metadata"]["generation"]
        current = status.get("observedGeneration", 0) >= generation and status.get("updatedReplicas", 0) == 1
        return True if current and status.get("availableReplicas", 0) == 1 and status.get("replicas") == 1 else None

    try:
        await until("the operator did not run", look, timeout=_STARTS_WITHIN)
    except ClusterError as error:
        pods = await api.all_of("v1", "Pod", wanted.operator_namespace, _OURS)
        reasons = " ".join(reason for reason in map(waiting_reason, pods) if reason)
        place = wanted.operator_namespace
        raise ClusterError(f"{error} {reasons} See: kubectl logs -n {place} deploy/{OPERATOR_NAME}") from error
