"""Objects of a cluster as dictionaries: where each kind is found, whose it is, and how it reads as YAML. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from cellyard import __version__

__all__ = ["MANAGED", "Manifest", "called", "is_ours", "labels", "list_path", "path_of", "to_yaml", "with_labels"]

Manifest = dict[str, Any]

MANAGED = {"app.kubernetes.io/managed-by": "cellyard"}
"""The label of everything that is ours."""

_PLURALS = {
    "ClusterRole": "clusterroles",
    "ClusterRoleBinding": "clusterrolebindings",
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "CustomResourceDefinition": "customresourcedefinitions",
    "DaskCluster": "daskclusters",
    "Deployment": "deployments",
    "Job": "jobs",
    "Namespace": "namespaces",
    "PersistentVolumeClaim": "persistentvolumeclaims",
    "Pod": "pods",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "Secret": "secrets",
    "SelfSubjectAccessReview": "selfsubjectaccessreviews",
    "Service": "services",
    "ServiceAccount": "serviceaccounts",
}


def labels(component: str) -> dict[str, str]:
    """The labels of an object of ours."""
    return {
        "app.kubernetes.io/name": "cellyard",
        "app.kubernetes.io/component": component,
        "app.kubernetes.io/version": __version__,
        **MANAGED,
    }


def with_labels(manifest: Mapping[str, Any], more: Mapping[str, str]) -> Manifest:
    """The object with these labels, too."""
    metadata = manifest["metadata"]
    return {**manifest, "metadata": {**metadata, "labels": {**metadata.get("labels", {}), **more}}}


def is_ours(manifest: Mapping[str, Any]) -> bool:
    """Whether the object is labelled as made by cellyard."""
    found = manifest["metadata"].get("labels") or {}
    return MANAGED.items() <= found.items()


def path_of(manifest: Mapping[str, Any]) -> str:
    """The object's address at the API server."""
    metadata = manifest["metadata"]
    return f"{list_path(manifest['apiVersion'], manifest['kind'], metadata.get('namespace'))}/{metadata['name']}"


def list_path(version: str, kind: str, namespace: str | None = None) -> str:
    """The address of all objects of a kind, everywhere or in a namespace."""
    root = f"apis/{version}" if "/" in version else f"api/{version}"
    place = f"/namespaces/{namespace}" if namespace else ""
    return f"{root}{place}/{_PLURALS[kind]}"


def called(manifest: Mapping[str, Any]) -> str:
    """The object as a person calls it: "Role data/cellyard-engine"."""
    metadata = manifest["metadata"]
    place = f"{metadata['namespace']}/" if metadata.get("namespace") else ""
    return f"{manifest['kind']} {place}{metadata['name']}"


def to_yaml(manifests: Iterable[Mapping[str, Any]]) -> str:
    """The objects as YAML documents that read well: keys in their order, texts of several lines as blocks."""
    return str(
        yaml.dump_all(
            manifests,
            Dumper=_Dumper,
            sort_keys=False,
            explicit_start=True,
            width=120,
            allow_unicode=True,
            default_flow_style=False,
        )
    )


class _Dumper(yaml.SafeDumper):
    """Texts of several lines as blocks; lists of few words in one line, others set in; no anchors."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> None:
        super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style="|" if "\n" in text else None)


def _list(dumper: yaml.SafeDumper, items: list[Any]) -> yaml.SequenceNode:
    words = all(isinstance(each, str) and "\n" not in each for each in items)
    short = words and sum(map(len, items)) < 60
    return dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=short)


_Dumper.add_representer(str, _text)
_Dumper.add_representer(list, _list)
