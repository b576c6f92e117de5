"""What Kubernetes is told: sizes, places and secrets as the settings say, and no more rights than needed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cellyard.backends.dask_on_kubernetes.pod_specs import (
    OVERHEAD,
    Names,
    dask_cluster,
    quantity,
    store_secret,
    worker_group,
)
from cellyard.backends.dask_on_kubernetes.shapes import DEFAULT_IMAGE, Shape, shape_of
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.model.step import StepRequest
from cellyard.model.step_line import parse_step_line
from tests.backends.submitting import make_task

GIB = 1 << 30
NAMES = Names("abcd1234", "team", "cellyard-abcd1234-xyz")
OWNER = {
    "apiVersion": "kubernetes.dask.org/v1",
    "kind": "DaskCluster",
    "metadata": {"name": NAMES.cluster, "uid": "42"},
}


def group(shape: Shape, settings: KubernetesSettings | None = None, *, with_secret: bool = False) -> dict[str, Any]:
    return worker_group(
        NAMES,
        "w1",
        shape,
        settings or KubernetesSettings(),
        owner=OWNER,
        store="s3://bucket/store",
        topic="t",
        with_secret=with_secret,
    )


def pod(shape: Shape, settings: KubernetesSettings | None = None, **more: Any) -> dict[str, Any]:
    return group(shape, settings, **more)["spec"]["worker"]["spec"]


def test_requests_equal_limits_and_memory_is_the_steps_and_the_workers() -> None:
    container = pod(Shape(0.5, 2 * GIB, gpu=2, disk=10 * GIB))["containers"][0]
    assert container["resources"]["requests"] == container["resources"]["limits"]
    assert container["resources"]["limits"] == {
        "cpu": "500m",
        "memory": quantity(2 * GIB + OVERHEAD),
        "nvidia.com/gpu": "2",
        "ephemeral-storage": "10240Mi",
    }


def test_a_pod_may_do_nothing_that_it_need_not() -> None:
    body = dask_cluster(NAMES, KubernetesSettings(), topic="t", deadline=600, alive=0)
    for spec in (pod(Shape(1, GIB)), body["spec"]["scheduler"]["spec"]):
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        (container,) = spec["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["imagePullPolicy"] == "IfNotPresent"
        assert {"name": "tmp", "mountPath": "/tmp"} in container["volumeMounts"]


def test_everything_belongs_to_the_engines_cluster() -> None:
    made = [group(Shape(1, GIB)), store_secret(NAMES, {"AWS_ACCESS_KEY_ID": "k"}, owner=OWNER)]
    for each in made:
        (reference,) = each["metadata"]["ownerReferences"]
        assert (reference["kind"], reference["uid"]) == ("DaskCluster", "42")
        assert each["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "cellyard"
        assert each["metadata"]["labels"]["cellyard.io/engine"] == "abcd1234"


def test_a_group_is_one_worker_and_the_cluster_none() -> None:
    assert group(Shape(1, GIB))["spec"]["worker"]["replicas"] == 1
    body = dask_cluster(NAMES, KubernetesSettings(), topic="t", deadline=600, alive=0)
    assert body["spec"]["worker"]["replicas"] == 0
    assert body["spec"]["idleTimeout"] == 600


def test_secrets_are_named_and_never_written_out() -> None:
    settings = KubernetesSettings(secrets=("db", {"secret": "api", "key": "token", "env": "API_TOKEN"}))
    container = pod(Shape(1, GIB), settings, with_secret=True)["containers"][0]
    assert [each["secretRef"]["name"] for each in container["envFrom"]] == [NAMES.secret, "db"]
    source = {"secretKeyRef": {"name": "api", "key": "token"}}
    assert {"name": "API_TOKEN", "valueFrom": source} in container["env"]
    assert "AWS" not in json.dumps(container)


def test_settings_reach_the_pod() -> None:
    settings = KubernetesSettings(
        node_selector={"pool": "work"},
        tolerations=({"key": "work", "operator": "Exists"},),
        priority_class="batch",
        service_account="steps",
        labels={"team": "a"},
        image_pull_secrets=("registry",),
        volumes=(
            {"mount_path": "/data", "persistentVolumeClaim": {"claimName": "data"}, "read_only": True},
            {"name": "more", "mount_path": "/more", "sub_path": "x", "emptyDir": {}},
        ),
    )
    spec = pod(Shape(1, GIB, image="mine:1", node=(("zone", "west"),)), settings)
    assert spec["nodeSelector"] == {"pool": "work", "zone": "west"}
    assert spec["tolerations"][0] == {"key": "work", "operator": "Exists"}
    assert {each.get("tolerationSeconds") for each in spec["tolerations"][1:]} == {30}, "of a node that is lost"
    assert (spec["priorityClassName"], spec["serviceAccountName"]) == ("batch", "steps")
    assert spec["imagePullSecrets"] == [{"name": "registry"}]
    assert spec["volumes"][2:] == [
        {"name": "volume-0", "persistentVolumeClaim": {"claimName": "data"}},
        {"name": "more", "emptyDir": {}},
    ]
    assert spec["containers"][0]["volumeMounts"][2:] == [
        {"name": "volume-0", "mountPath": "/data", "readOnly": True},
        {"name": "more", "mountPath": "/more", "subPath": "x"},
    ]
    assert spec["containers"][0]["image"] == "mine:1"
    assert group(Shape(1, GIB), settings)["metadata"]["labels"]["team"] == "a"


def test_spot_is_what_the_settings_say_else_any_clouds_own() -> None:
    anywhere = pod(Shape(1, GIB, spot=True))
    terms = anywhere["affinity"]["nodeAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]["nodeSelectorTerms"]
    assert "eks.amazonaws.com/capacityType" in {each["matchExpressions"][0]["key"] for each in terms}
    settings = KubernetesSettings(spot={"node_selector": {"cheap": "yes"}, "tolerations": [{"key": "cheap"}]})
    own = pod(Shape(1, GIB, spot=True), settings)
    assert own["nodeSelector"] == {"cheap": "yes"}
    assert {"key": "cheap"} in own["tolerations"]
    assert "affinity" not in own


def test_a_step_has_the_shape_of_its_line_else_of_the_settings() -> None:
    settings = KubernetesSettings(image="team:1", memory=GIB)
    line = parse_step_line("--cpu 2 --memory 4GiB --disk 1GiB --node zone=west --spot --image mine:2")
    task = make_task("pass", cpu=2.0, memory=4 * GIB)
    request = StepRequest(notebook="n", session="s", name="x", source="", options=line)
    task.request.update(request.to_dict())
    assert shape_of(task, settings) == Shape(2.0, 4 * GIB, 0, GIB, "mine:2", (("zone", "west"),), spot=True)
    assert shape_of(make_task("pass"), settings) == Shape(1.0, GIB, image="team:1")
    assert shape_of(make_task("pass"), KubernetesSettings()).image == DEFAULT_IMAGE


def test_shapes_have_names_of_their_own_and_survive_as_json() -> None:
    one, other = Shape(1.0, GIB), Shape(1.0, GIB, node=(("zone", "west"),))
    assert one.name != other.name
    assert Shape.from_dict(json.loads(json.dumps(other.to_dict()))) == other


@pytest.mark.parametrize(("size", "text"), [(1 << 20, "1Mi"), (3 * GIB, "3072Mi"), (1000, "1000")])
def test_bytes_as_kubernetes_writes_them(size: int, text: str) -> None:
    assert quantity(size) == text
