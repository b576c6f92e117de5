"""What ``cellyard kubernetes install`` puts into a cluster, as dictionaries. Pure.

In the work namespace: the account and the rights of engines that run inside the cluster, and the operator's rights
there. In the operator's own: its account and its Deployment. The custom resources are read in ``definitions``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cellyard.kubernetes.objects import Manifest, labels
from cellyard.kubernetes.rights import ENGINE, OPERATOR, OPERATOR_CLUSTER

__all__ = [
    "ACCOUNT",
    "OPERATOR_NAME",
    "Installation",
    "account",
    "account_manifests",
    "binding",
    "container_security",
    "operator_manifests",
    "pod_security",
    "role",
    "scratch",
    "served_by",
]

ACCOUNT = "cellyard"
"""The service account of engines inside the cluster."""
OPERATOR_NAME = "cellyard-operator"

_USER = 1000
_RBAC = "rbac.authorization.k8s.io"
_HEALTH = 8080


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """Where to install and with which image. ``served`` are the namespaces that the operator looks after; none named
    means all of them."""

    namespace: str
    operator_namespace: str
    image: str
    served: tuple[str, ...] = ()
    pull_secrets: tuple[str, ...] = ()


def account_manifests(wanted: Installation) -> list[Manifest]:
    """The work namespace, and in it the account of engines with the rights that they need."""
    place = wanted.namespace
    return [
        _namespace(place, "steps"),
        account(ACCOUNT, place, "engine"),
        role("cellyard-engine", place, "engine", ENGINE),
        binding("cellyard-engine", place, "engine", account=ACCOUNT, account_place=place),
    ]


def operator_manifests(wanted: Installation) -> list[Manifest]:
    """The operator, and its rights: in each namespace that it serves, or in all by rights of the whole cluster."""
    home = wanted.operator_namespace
    made = [_namespace(home, "operator"), account(OPERATOR_NAME, home, "operator")]
    if wanted.served:
        for place in wanted.served:
            made.append(role(OPERATOR_NAME, place, "operator", OPERATOR))
            made.append(binding(OPERATOR_NAME, place, "operator", account=OPERATOR_NAME, account_place=home))
    else:
        made.append(role(home, None, "operator", (*OPERATOR, *OPERATOR_CLUSTER)))
        made.append(binding(home, None, "operator", account=OPERATOR_NAME, account_place=home))
    return [*made, _deployment(wanted)]


def served_by(deployment: Manifest) -> tuple[str, ...]:
    """The namespaces that an operator's Deployment of ours serves; none means all."""
    command = deployment["spec"]["template"]["spec"]["containers"][0]["command"]
    return tuple(word.removeprefix("--namespace=") for word in command if word.startswith("--namespace="))


def pod_security(*, account: str | None = None, pull_secrets: tuple[str, ...] = ()) -> dict[str, Any]:
    """The part of a pod's specification that gives it no more than it needs, and an API token only by an account."""
    spec: dict[str, Any] = {
        "enableServiceLinks": False,
        "automountServiceAccountToken": account is not None,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    if account is not None:
        spec["serviceAccountName"] = account
    if pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in pull_secrets]
    return spec


def container_security() -> dict[str, Any]:
    """No rights beyond the user's own, and nothing to write to but volumes."""
    return {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def scratch(*names: str) -> tuple[list[Manifest], list[Manifest]]:
    """Empty folders of a pod, each in the root: (volumes, mounts)."""
    volumes: list[Manifest] = [{"name": name, "emptyDir": {}} for name in names]
    return volumes, [{"name": name, "mountPath": f"/{name}"} for name in names]


def _deployment(wanted: Installation) -> Manifest:
    told = labels("operator")
    chosen = {key: told[key] for key in ("app.kubernetes.io/name", "app.kubernetes.io/component")}
    places = [f"--namespace={place}" for place in wanted.served] or ["--all-namespaces"]
    modules = ["dask_kubernetes.operator.controller"] + ["cellyard.kubernetes.operator"] * bool(wanted.served)
    volumes, mounts = scratch("tmp")
    healthy = {"httpGet": {"path": "/healthz", "port": _HEALTH}, "timeoutSeconds": 5}
    container = {
        "name": "operator",
        "image": wanted.image,
        "imagePullPolicy": "IfNotPresent",
        "command": [
            "kopf",
            "run",
            "--standalone",
            f"--liveness=http://0.0.0.0:{_HEALTH}/healthz",
            *places,
            *(f"--module={module}" for module in modules),
        ],
        "resources": {"requests": {"cpu": "50m", "memory": "192Mi"}, "limits": {"cpu": "1", "memory": "384Mi"}},
        # Often while it starts, for whoever waits for it; seldom afterwards.
        "startupProbe": {**healthy, "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**healthy, "periodSeconds": 10, "failureThreshold": 6},
        "livenessProbe": {**healthy, "periodSeconds": 20, "failureThreshold": 6},
        "securityContext": container_security(),
        "volumeMounts": mounts,
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": OPERATOR_NAME, "namespace": wanted.operator_namespace, "labels": told},
        "spec": {
            "replicas": 1,
            # Two at once would both make the same pods.
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": chosen},
            "template": {
                "metadata": {"labels": told},
                "spec": {
                    **pod_security(account=OPERATOR_NAME, pull_secrets=wanted.pull_secrets),
                    "terminationGracePeriodSeconds": 5,
                    "containers": [container],
                    "volumes": volumes,
                },
            },
        },
    }


def _namespace(name: str, component: str) -> Manifest:
    modes = ("enforce", "audit", "warn")
    security = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in modes}
    return {
        "apiVersion": "v1",
        "kind": "Namespace",
        "metadata": {"name": name, "labels": {**labels(component), **security}},
    }


def account(name: str, place: str, component: str) -> Manifest:
    """A service account."""
    return {
        "apiVersion": "v1",
        "kind": "ServiceAccount",
        "metadata": {"name": name, "namespace": place, "labels": labels(component)},
        # Pods that need the API say so themselves.
        "automountServiceAccountToken": False,
    }


def role(name: str, place: str | None, component: str, rules: tuple[Manifest, ...]) -> Manifest:
    """Rights in a namespace, or in the whole cluster."""
    metadata: Manifest = {"name": name, **({"namespace": place} if place else {}), "labels": labels(component)}
    kind = "Role" if place else "ClusterRole"
    return {"apiVersion": f"{_RBAC}/v1", "kind": kind, "metadata": metadata, "rules": [dict(rule) for rule in rules]}


def binding(name: str, place: str | None, component: str, *, account: str, account_place: str) -> Manifest:
    """The rights of the role of that name, for an account."""
    metadata: Manifest = {"name": name, **({"namespace": place} if place else {}), "labels": labels(component)}
    kind = "Role" if place else "ClusterRole"
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": f"{kind}Binding",
        "metadata": metadata,
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": name},
        "subjects": [{"kind": "ServiceAccount", "name": account, "namespace": account_place}],
    }
