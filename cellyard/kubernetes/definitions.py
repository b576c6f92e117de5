"""The custom resources of dask-kubernetes, as the installed package brings them."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import yaml

from cellyard.errors import ClusterError
from cellyard.kubernetes.objects import Manifest, labels, with_labels

__all__ = ["DEFINITIONS", "definitions"]

DEFINITIONS = tuple(
    f"{name}.kubernetes.dask.org" for name in ("daskclusters", "daskworkergroups", "daskjobs", "daskautoscalers")
)
"""Their names. The operator follows all four."""

_FOLDER = Path("operator/deployment/helm/dask-kubernetes-operator/crds")


def definitions() -> list[Manifest]:
    """The definitions, labelled as ours. Raises ClusterError without dask-kubernetes."""
    # Looked for, not imported: that would take seconds.
    found = find_spec("dask_kubernetes")
    if found is None or found.origin is None:
        raise ClusterError("dask-kubernetes is not installed here: pip install 'cellyard[kubernetes]'.")
    folder = Path(found.origin).parent / _FOLDER
    read = [yaml.load(path.read_text(encoding="utf-8"), _LOADER) for path in sorted(folder.glob("*.yaml"))]
    missing = set(DEFINITIONS) - {each["metadata"]["name"] for each in read}
    if missing:
        raise ClusterError(f"this dask-kubernetes brings no definition of {', '.join(sorted(missing))} in {folder}.")
    return [with_labels(each, labels("definitions")) for each in read]


_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The definitions have twenty thousand lines."""
