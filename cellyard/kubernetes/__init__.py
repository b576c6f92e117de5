"""What cellyard puts into a cluster for good, as opposed to what an engine makes there while it works.

objects      pure: kinds and their addresses, labels, and objects as YAML
rights       pure: what the operator and an engine may do
manifests    pure: namespace, accounts, rights and operator as Kubernetes is told of them
definitions  the custom resources that come with dask-kubernetes
api          applying, reading and deleting such objects
installing   install and uninstall
checking     one link after the other, from here to a step that ran; ``probe`` is the end of it inside a pod

Imports nothing here: kr8s is loaded when a cluster is talked to.
"""

from __future__ import annotations

__all__: list[str] = []
