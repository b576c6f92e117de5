"""What is put into a cluster, as dictionaries."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml

from cellyard.kubernetes.definitions import DEFINITIONS, definitions
from cellyard.kubernetes.manifests import Installation, account_manifests, operator_manifests, served_by
from cellyard.kubernetes.objects import called, is_ours, list_path, path_of, to_yaml
from cellyard.kubernetes.rights import ENGINE, ENGINE_INSIDE, OPERATOR, Right, rights_in

WANTED = Installation(namespace="science", operator_namespace="ops", image="image:1", served=("science", "more"))


def everything(wanted: Installation = WANTED) -> list[dict[str, Any]]:
    return [*account_manifests(wanted), *operator_manifests(wanted)]


def one(kind: str, name: str, wanted: Installation = WANTED) -> dict[str, Any]:
    [found] = [each for each in everything(wanted) if each["kind"] == kind and each["metadata"]["name"] == name]
    return found


def test_everything_is_labelled_as_ours():
    assert all(map(is_ours, everything()))
    assert all(map(is_ours, definitions()))


def test_the_operator_has_rights_only_where_it_serves():
    places = {each["metadata"]["namespace"] for each in operator_manifests(WANTED) if each["kind"] == "Role"}
    assert places == {"science", "more"}
    assert not [each for each in everything() if each["kind"].startswith("Cluster")]


def test_an_operator_for_all_namespaces_has_rights_of_the_whole_cluster():
    wanted = replace(WANTED, served=())
    assert one("ClusterRole", "ops", wanted)["rules"][: len(OPERATOR)] == list(OPERATOR)
    assert not [each for each in operator_manifests(wanted) if each["kind"] == "Role"]


@pytest.mark.parametrize("served", [(), ("a",), ("a", "b")])
def test_a_deployment_says_which_namespaces_it_serves(served):
    assert served_by(one("Deployment", "cellyard-operator", replace(WANTED, served=served))) == served


def test_pods_of_ours_may_do_nothing_to_their_node():
    spec = one("Deployment", "cellyard-operator")["spec"]["template"]["spec"]
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    [container] = spec["containers"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }


def test_namespaces_of_ours_refuse_pods_that_want_more():
    labels = one("Namespace", "science")["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize("rules", [ENGINE, ENGINE_INSIDE, OPERATOR])
def test_no_rule_has_wildcards_or_reads_secrets(rules):
    rights = set(rights_in(rules))
    assert not [right for right in rights if "*" in (right.verb, right.group, right.resource)]
    assert not rights & {Right(verb, "", "secrets") for verb in ("get", "list", "watch")}


def test_a_right_reads_as_kubectl_asks_for_it():
    right = Right("create", "", "pods/portforward")
    assert str(right) == "create pods/portforward"
    asked = {"namespace": "science", "verb": "create", "group": "", "resource": "pods", "subresource": "portforward"}
    assert right.attributes("science") == asked
    assert str(Right("get", "apps", "deployments")) == "get deployments.apps"


def test_definitions_are_those_of_dask():
    assert {each["metadata"]["name"] for each in definitions()} == set(DEFINITIONS)


def test_every_object_has_an_address():
    for each in (*everything(), *everything(replace(WANTED, served=())), *definitions()):
        assert path_of(each).endswith(f"/{each['metadata']['name']}")
    assert path_of(one("Role", "cellyard-engine")) == (
        "apis/rbac.authorization.k8s.io/v1/namespaces/science/roles/cellyard-engine"
    )
    assert list_path("v1", "Pod") == "api/v1/pods"
    assert called(one("Role", "cellyard-engine")) == "Role science/cellyard-engine"


def test_yaml_says_the_same_and_reads_well():
    manifests = [*everything(), {"kind": "ConfigMap", "data": {"text": "one\n  two ×\n"}}]
    text = to_yaml(manifests)
    assert list(yaml.safe_load_all(text)) == manifests
    assert "  text: |\n    one\n      two ×\n" in text
    assert "verbs: [get, list, watch, create, patch]" in text
