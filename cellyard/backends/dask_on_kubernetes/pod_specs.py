"""What Kubernetes is told: a DaskCluster, its worker groups, the Secret of the store. Pure; dictionaries as YAML.

Every container runs as another user than root, on a read-only file system, without any capability or token of the
cluster. Secrets are named, never written out.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.backends.dask_on_kubernetes.shapes import DEFAULT_IMAGE, Shape
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.model.store_address import with_cache

__all__ = [
    "ALIVE",
    "CLUSTER",
    "CONTAINER",
    "ENGINE",
    "GROUP",
    "OVERHEAD",
    "PORT",
    "SCHEDULER_SHAPE",
    "SHAPE",
    "Names",
    "dask_cluster",
    "quantity",
    "store_secret",
    "worker_group",
]

ENGINE = "cellyard.io/engine"
GROUP = "cellyard.io/worker"
SHAPE = "cellyard.io/shape"
CLUSTER = "dask.org/cluster-name"
ALIVE = "cellyard.io/alive-until"
"""Labels of all that belongs to an engine, to one worker; annotations with a worker's shape, and with the time (seconds
since 1970) up to which an engine has promised to look after its cluster."""

CONTAINER = "worker"
PORT = 8786
HTTP_PORT = 8787

OVERHEAD = 320 << 20
"""Bytes that a worker needs beside its step: Dask's worker, the step parent with its packages, a child in waiting."""
SCHEDULER_MEMORY = 512 << 20
SCHEDULER_SHAPE = Shape(0.1, SCHEDULER_MEMORY)

_PACKAGE = "cellyard.backends.dask_on_kubernetes"
_USER = 1000

# Where each cloud, and Karpenter, keeps what it may take back at any time; any one of them will do.
_SPOT_LABELS = (
    ("cloud.google.com/gke-spot", "true"),
    ("eks.amazonaws.com/capacityType", "SPOT"),
    ("kubernetes.azure.com/scalesetpriority", "spot"),
    ("karpenter.sh/capacity-type", "spot"),
)


# Five minutes, as is usual, are long for a person who waits; the step begins again elsewhere.
_LOST_NODE = tuple(
    {"key": f"node.kubernetes.io/{key}", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 30}
    for key in ("not-ready", "unreachable")
)


@dataclass(frozen=True, slots=True)
class Names:
    """How an engine's objects are called in the cluster. A DaskCluster is never made twice under one name: the one
    before may take a while to go."""

    engine: str
    namespace: str
    cluster: str = ""

    @property
    def prefix(self) -> str:
        """What all of their names begin with."""
        return f"cellyard-{self.engine}"

    @property
    def secret(self) -> str:
        return f"{self.cluster}-store"

    @property
    def scheduler(self) -> str:
        """The Service that the operator makes for the scheduler."""
        return f"{self.cluster}-scheduler"

    def labels(self) -> dict[str, str]:
        return {"app.kubernetes.io/managed-by": "cellyard", ENGINE: self.engine}


def quantity(size: int) -> str:
    """Bytes as Kubernetes writes them; whole mebibytes where that is exact."""
    return f"{size >> 20}Mi" if size % (1 << 20) == 0 else str(size)


def dask_cluster(
    names: Names, settings: KubernetesSettings, *, topic: str, deadline: int, alive: float
) -> dict[str, Any]:
    """The DaskCluster: a scheduler's pod and no worker. The operator deletes it with all that belongs to it when the
    scheduler has been without an engine and without a step for ``deadline`` seconds."""
    image = settings.image or DEFAULT_IMAGE
    labels = {**settings.labels, **names.labels()}
    ports = [
        {"name": "tcp-comm", "port": PORT, "targetPort": "tcp-comm", "protocol": "TCP"},
        {"name": "http-dashboard", "port": HTTP_PORT, "targetPort": "http-dashboard", "protocol": "TCP"},
    ]
    container = {
        "name": "scheduler",
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["python", "-m", f"{_PACKAGE}.scheduler"],
        "env": [{"name": "CELLYARD_TOPIC", "value": topic}],
        "ports": [
            {"name": "tcp-comm", "containerPort": PORT},
            {"name": "http-dashboard", "containerPort": HTTP_PORT},
        ],
        # It does little once it runs, and starts quickly where a CPU is free.
        "resources": {
            "requests": {"cpu": "100m", "memory": quantity(SCHEDULER_MEMORY)},
            "limits": {"cpu": "1", "memory": quantity(SCHEDULER_MEMORY)},
        },
        "securityContext": _container_security(),
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }
    spec = {
        **_pod_basics(settings),
        "containers": [container],
        "volumes": [{"name": "tmp", "emptyDir": {}}],
        "nodeSelector": dict(settings.node_selector),
        "tolerations": [dict(each) for each in settings.tolerations],
    }
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {
            "name": names.cluster,
            "namespace": names.namespace,
            "labels": labels,
            "annotations": {ALIVE: f"{alive:.0f}"},
        },
        "spec": {
            "idleTimeout": deadline,
            "scheduler": {
                "spec": spec,
                "service": {
                    "type": "ClusterIP",
                    "selector": {CLUSTER: names.cluster, "dask.org/component": "scheduler"},
                    "ports": ports,
                },
            },
            # The default group is not ours to use, but the definition asks for one.
            "worker": {"replicas": 0, "spec": {"containers": [{"name": CONTAINER, "image": image}]}},
        },
    }


def worker_group(
    names: Names,
    name: str,
    shape: Shape,
    settings: KubernetesSettings,
    *,
    owner: Mapping[str, Any],
    store: str,
    topic: str,
    with_secret: bool,
) -> dict[str, Any]:
    """The DaskWorkerGroup of one worker. ``owner`` is the DaskCluster as Kubernetes gave it back; ``with_secret``:
    the store's Secret goes into the environment."""
    labels = {**settings.labels, **names.labels(), CLUSTER: names.cluster, GROUP: name}
    return {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskWorkerGroup",
        "metadata": {
            "name": name,
            "namespace": names.namespace,
            "labels": labels,
            "annotations": {SHAPE: json.dumps(shape.to_dict())},
            "ownerReferences": [owner_reference(owner)],
        },
        "spec": {
            "cluster": names.cluster,
            "worker": {
                "replicas": 1,
                "spec": _worker_pod(names, name, shape, settings, store, topic, with_secret=with_secret),
            },
        },
    }


def store_secret(names: Names, values: Mapping[str, str], *, owner: Mapping[str, Any]) -> dict[str, Any]:
    """The Secret with the variables by which workers reach the store. It goes with its owner, the DaskCluster."""
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {
            "name": names.secret,
            "namespace": names.namespace,
            "labels": names.labels(),
            "ownerReferences": [owner_reference(owner)],
        },
        "type": "Opaque",
        "stringData": dict(values),
    }


def owner_reference(owner: Mapping[str, Any]) -> dict[str, Any]:
    """What ties an object's life to that of its owner."""
    return {
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "controller": True,
        "blockOwnerDeletion": True,
    }


def _worker_pod(
    names: Names, name: str, shape: Shape, settings: KubernetesSettings, store: str, topic: str, *, with_secret: bool
) -> dict[str, Any]:
    extra = list(settings.volumes)
    volumes = [
        {"name": "tmp", "emptyDir": {}},
        {"name": "cache", "emptyDir": {}},
        *({"name": _volume_name(n, each), **_source(each)} for n, each in enumerate(extra)),
    ]
    mounts = [
        {"name": "tmp", "mountPath": "/tmp"},
        {"name": "cache", "mountPath": "/cache"},
        *(_mount(n, each) for n, each in enumerate(extra)),
    ]
    container = {
        "name": CONTAINER,
        "image": shape.image,
        "imagePullPolicy": "IfNotPresent",
        "args": ["python", "-m", f"{_PACKAGE}.worker"],
        "env": [
            {"name": "DASK_SCHEDULER_ADDRESS", "value": f"tcp://{names.scheduler}:{PORT}"},
            {"name": "DASK_WORKER_NAME", "value": name},
            {"name": "CELLYARD_POD", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            {"name": "CELLYARD_SHAPE", "value": shape.name},
            {"name": "CELLYARD_STORE", "value": with_cache(store, "/cache")},
            {"name": "CELLYARD_TOPIC", "value": topic},
            {"name": "CELLYARD_GPUS", "value": str(shape.gpu)},
            *(_variable(each) for each in settings.secrets if isinstance(each, Mapping)),
        ],
        "envFrom": [
            {"secretRef": {"name": each}}
            for each in ([names.secret] if with_secret else []) + [s for s in settings.secrets if isinstance(s, str)]
        ],
        "resources": {"requests": _sizes(shape, settings), "limits": _sizes(shape, settings)},
        "securityContext": _container_security(),
        "volumeMounts": mounts,
    }
    spec = {
        **_pod_basics(settings),
        "containers": [container],
        "volumes": volumes,
        "nodeSelector": {**settings.node_selector, **dict(shape.node)},
        "tolerations": [*(dict(each) for each in settings.tolerations), *_LOST_NODE],
    }
    if settings.priority_class:
        spec["priorityClassName"] = settings.priority_class
    if settings.service_account:
        spec["serviceAccountName"] = settings.service_account
    if shape.spot:
        _on_spot(spec, settings)
    return spec


def _pod_basics(settings: KubernetesSettings) -> dict[str, Any]:
    basics: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Nothing that is worth waiting for happens after the signal: what a step made is in the store or is not.
        "terminationGracePeriodSeconds": 2,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if settings.image_pull_secrets:
        basics["imagePullSecrets"] = [{"name": each} for each in settings.image_pull_secrets]
    return basics


def _container_security() -> dict[str, Any]:
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def _sizes(shape: Shape, settings: KubernetesSettings) -> dict[str, str]:
    sizes = {"cpu": f"{max(1, round(shape.cpu * 1000))}m", "memory": quantity(shape.memory + OVERHEAD)}
    if shape.gpu:
        sizes[settings.gpu_resource] = str(shape.gpu)
    if shape.disk:
        sizes["ephemeral-storage"] = quantity(shape.disk)
    return sizes


def _variable(secret: Mapping[str, Any]) -> dict[str, Any]:
    source = {"secretKeyRef": {"name": secret["secret"], "key": secret["key"]}}
    return {"name": secret["env"], "valueFrom": source}


def _volume_name(number: int, volume: Mapping[str, Any]) -> str:
    return str(volume.get("name") or f"volume-{number}")


def _source(volume: Mapping[str, Any]) -> dict[str, Any]:
    own = {"mount_path", "name", "sub_path", "read_only"}
    return {key: value for key, value in volume.items() if key not in own}


def _mount(number: int, volume: Mapping[str, Any]) -> dict[str, Any]:
    mount = {"name": _volume_name(number, volume), "mountPath": volume["mount_path"]}
    if volume.get("sub_path"):
        mount["subPath"] = volume["sub_path"]
    if volume.get("read_only"):
        mount["readOnly"] = True
    return mount


def _on_spot(spec: dict[str, Any], settings: KubernetesSettings) -> None:
    """Only where capacity may be taken back: as the settings say, else by the labels of the known clouds."""
    if settings.spot:
        spec["nodeSelector"] |= settings.spot.get("node_selector") or {}
        spec["tolerations"] += [dict(each) for each in settings.spot.get("tolerations") or ()]
        return
    terms = [{"matchExpressions": [{"key": key, "operator": "In", "values": [value]}]} for key, value in _SPOT_LABELS]
    spec["affinity"] = {
        "nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": {"nodeSelectorTerms": terms}}
    }
    spec["tolerations"] += [
        {"key": key, "operator": "Equal", "value": value, "effect": "NoSchedule"} for key, value in _SPOT_LABELS
    ]
