"""Which namespace is meant, as far as it can be told without asking the cluster."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import yaml

from cellyard.model.kubernetes import KubernetesSettings

__all__ = ["DEFAULT_NAMESPACE", "namespace_of"]

DEFAULT_NAMESPACE = "cellyard"


def namespace_of(settings: KubernetesSettings) -> str:
    """The setting, else the namespace of the kubeconfig's context, else our own."""
    return settings.namespace or _of_context(settings.context) or DEFAULT_NAMESPACE


def _of_context(wanted: str | None) -> str | None:
    names = os.environ.get("KUBECONFIG") or str(Path("~/.kube/config").expanduser())
    read = [_read(Path(name)) for name in names.split(os.pathsep) if name]
    chosen = wanted or next((each["current-context"] for each in read if each.get("current-context")), None)
    contexts = (context for each in read for context in each.get("contexts") or ())
    found = next((each.get("context") or {} for each in contexts if each.get("name") == chosen), {})
    return str(found["namespace"]) if found.get("namespace") else None


def _read(path: Path) -> dict[str, Any]:
    """What cannot be read says nothing of namespaces; whoever talks to the cluster will complain."""
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
