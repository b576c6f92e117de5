"""What the operator and an engine may do in a namespace: each rule with its reason. Pure.

The operator's rules are those that dask-kubernetes' controller uses for DaskClusters and DaskWorkerGroups. DaskJobs and
DaskAutoscalers it only looks at: cellyard makes none.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

__all__ = ["ENGINE", "ENGINE_INSIDE", "OPERATOR", "OPERATOR_CLUSTER", "Right", "rights_in"]

Rule = dict[str, Any]
_DASK = "kubernetes.dask.org"


@dataclass(frozen=True, slots=True)
class Right:
    """One verb on one kind of object, such as create on pods/portforward."""

    verb: str
    group: str
    resource: str

    def __str__(self) -> str:
        return f"{self.verb} {self.resource}{'.' + self.group if self.group else ''}"

    def attributes(self, namespace: str) -> dict[str, str]:
        """As an access review asks for it."""
        resource, _, below = self.resource.partition("/")
        asked = {"namespace": namespace, "verb": self.verb, "group": self.group, "resource": resource}
        return {**asked, "subresource": below} if below else asked


def _rule(group: str, resources: str, verbs: str) -> Rule:
    return {"apiGroups": [group], "resources": resources.split(), "verbs": verbs.split()}


OPERATOR: tuple[Rule, ...] = (
    # It follows clusters and groups, notes its progress on them, makes each cluster's default group, and deletes a
    # cluster whose scheduler has been idle for too long.
    _rule(_DASK, "daskclusters", "get list watch patch delete"),
    _rule(_DASK, "daskworkergroups", "get list watch patch create"),
    _rule(_DASK, "daskclusters/finalizers daskworkergroups/finalizers", "update"),
    _rule(_DASK, "daskjobs daskautoscalers", "list watch"),
    # Scheduler and workers are Deployments; a scheduler has a Service, whose state it follows.
    _rule("apps", "deployments", "get list create delete"),
    _rule("", "services", "get list watch create patch"),
    _rule("", "pods", "list watch"),
    _rule("", "events", "create"),
)
OPERATOR_CLUSTER: tuple[Rule, ...] = (
    # To serve every namespace it must see them come and go.
    _rule("", "namespaces", "list watch"),
    _rule("apiextensions.k8s.io", "customresourcedefinitions", "list watch"),
)
ENGINE_INSIDE: tuple[Rule, ...] = (
    # Its Dask cluster, and a group for each worker.
    _rule(_DASK, "daskclusters daskworkergroups", "get list watch create patch delete"),
    _rule(_DASK, "daskclusters/finalizers", "update"),
    # What becomes of their pods, in words.
    _rule("", "pods", "get list watch"),
    _rule("", "pods/log", "get"),
    _rule("", "events", "list watch"),
)
"""What an engine does inside the cluster when the store's Secret is named to it."""
ENGINE: tuple[Rule, ...] = (
    *ENGINE_INSIDE,
    # The way to the scheduler from outside the cluster.
    _rule("", "pods/portforward", "get create"),
    # The store's variables for its workers, given as it has them itself. It never reads a Secret.
    _rule("", "secrets", "create delete"),
)


def rights_in(rules: Iterable[Rule]) -> Iterator[Right]:
    """Every single right that the rules give."""
    for rule in rules:
        for group in rule["apiGroups"]:
            for resource in rule["resources"]:
                for verb in rule["verbs"]:
                    yield Right(verb, group, resource)
