"""What `cellyard kubernetes install`, `check` and `uninstall` do to a cluster, seen with kubectl."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from cellyard.cli import main
from tests.cluster.conftest import fresh_bucket, fresh_namespace, installed, kubectl
from tests.service.engines import until

DEFINITIONS = "customresourcedefinitions.apiextensions.k8s.io"

pytestmark = pytest.mark.timeout(200)


@dataclass(frozen=True)
class Place:
    """A namespace for steps, and that of its operator."""

    steps: str
    operator: str
    image: str

    def command(self, action: str, *more: str) -> list[str]:
        """A command about this place."""
        where = ["--namespace", self.steps, "--operator-namespace", self.operator, "--image", self.image]
        return ["kubernetes", action, *where, *more]

    def may(self, account: str, verb: str, resource: str, namespace: str) -> bool:
        """Whether a service account has a right."""
        asked = ["auth", "can-i", verb, resource, "-n", namespace, f"--as=system:serviceaccount:{account}"]
        return kubectl(*asked, check=False).strip() == "yes"


@pytest.fixture(scope="module")
def place(worker_image: str) -> Iterator[Place]:
    with fresh_namespace() as steps, installed(steps, worker_image) as operator:
        yield Place(steps, operator, worker_image)


@pytest.fixture(scope="module")
def store(s3_server: None) -> Iterator[str]:
    with fresh_bucket() as url, pytest.MonkeyPatch.context() as env:
        env.setenv("CELLYARD_STORE", url)
        yield url


def test_install_again_changes_nothing(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    before = kubectl("get", "deployment", "-n", place.operator, "-o", "jsonpath={.items[*].metadata.resourceVersion}")
    assert main(place.command("install")) == 0
    said = capsys.readouterr().out
    assert "created" not in said
    assert "changed " not in said
    after = kubectl("get", "deployment", "-n", place.operator, "-o", "jsonpath={.items[*].metadata.resourceVersion}")
    assert after == before


def test_the_operator_runs_without_rights_on_its_node(place: Place) -> None:
    [pod] = json.loads(kubectl("get", "pods", "-n", place.operator, "-o", "json"))["items"]
    assert pod["status"]["containerStatuses"][0]["ready"]
    labels = json.loads(kubectl("get", "namespace", place.operator, "-o", "json"))["metadata"]["labels"]
    assert labels["pod-security.kubernetes.io/enforce"] == "restricted"


@pytest.mark.parametrize(
    ("verb", "resource", "in_steps", "in_default"),
    [
        ("create", "deployments.apps", True, False),
        ("create", "services", True, False),
        ("delete", "daskclusters.kubernetes.dask.org", True, False),
        ("create", "pods", False, False),
        ("get", "secrets", False, False),
        ("create", "rolebindings.rbac.authorization.k8s.io", False, False),
        ("list", "namespaces", False, False),
    ],
)
def test_the_operator_may_do_no_more_than_it_does(
    place: Place, verb: str, resource: str, in_steps: bool, in_default: bool
) -> None:
    account = f"{place.operator}:cellyard-operator"
    assert place.may(account, verb, resource, place.steps) == in_steps
    assert place.may(account, verb, resource, "default") == in_default


def test_an_engine_with_the_rights_of_its_role_alone_runs_a_step(
    place: Place, store: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    config = json.loads(kubectl("config", "view", "--raw", "--minify", "-o", "json"))
    token = kubectl("create", "token", "cellyard", "-n", place.steps).strip()
    config["users"] = [{"name": config["users"][0]["name"], "user": {"token": token}}]
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    code = main(place.command("check"))
    said = capsys.readouterr().out
    assert code == 0, said
    assert "failed" not in said
    assert "what the step wrote was read here" in said
    assert not place.may(f"{place.steps}:cellyard", "get", "secrets", place.steps)
    assert not place.may(f"{place.steps}:cellyard", "create", "pods", place.steps)


def test_check_says_what_is_missing_and_what_to_do(
    place: Place, store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CELLYARD_STORE", str(tmp_path))
    with fresh_namespace() as other:
        assert main(["kubernetes", "check", "--namespace", other, "--operator-namespace", place.operator]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert f"it serves {place.steps}, and not {other} Run: cellyard kubernetes install" in said
    assert "which pods cannot reach Set CELLYARD_STORE=s3://BUCKET/PREFIX" in said
    assert said.count("not tried") == 5


def test_check_without_a_cluster_goes_on_with_the_store(
    store: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    cluster = {"name": "gone", "cluster": {"server": "https://127.0.0.1:9"}}
    context = {"name": "gone", "context": {"cluster": "gone", "user": "me"}}
    me = {"name": "me", "user": {"token": "none"}}
    config = {"apiVersion": "v1", "kind": "Config", "current-context": "gone"}
    config |= {"clusters": [cluster], "contexts": [context], "users": [me]}
    (tmp_path / "kubeconfig").write_text(json.dumps(config))
    monkeypatch.setenv("KUBECONFIG", str(tmp_path / "kubeconfig"))
    assert main(["kubernetes", "check"]) == 1
    said = capsys.readouterr().out
    assert "Check KUBECONFIG" in said
    assert f"{store}: written" in said


def test_what_a_dry_run_prints_is_what_install_makes(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(place.command("install", "--dry-run")) == 0
    printed = [each for each in yaml.safe_load_all(capsys.readouterr().out) if "Definition" not in each["kind"]]
    # The namespace was there before; it is left as it was.
    made = [each for each in printed if each["metadata"]["name"] != place.steps]
    everything = {"apiVersion": "v1", "kind": "List", "items": made}
    kubectl("diff", "--server-side", "--field-manager=cellyard", "-f", "-", stdin=everything)


def test_uninstall_refuses_while_a_dask_cluster_is_there(place: Place, capsys: pytest.CaptureFixture[str]) -> None:
    pod = {"containers": [{"name": "none", "image": place.image, "args": ["true"]}]}
    ports = [{"name": "tcp-comm", "port": 8786}]
    cluster = {
        "apiVersion": "kubernetes.dask.org/v1",
        "kind": "DaskCluster",
        "metadata": {"name": "mine", "namespace": place.steps},
        "spec": {
            "worker": {"replicas": 0, "spec": pod},
            "scheduler": {"spec": pod, "service": {"type": "ClusterIP", "selector": {"a": "b"}, "ports": ports}},
        },
    }
    kubectl("create", "-f", "-", stdin=cluster)
    try:
        assert main(place.command("uninstall")) == 1
        assert f"still there: DaskCluster {place.steps}/mine" in capsys.readouterr().err
        assert kubectl("get", "deployment", "cellyard-operator", "-n", place.operator, "-o", "name")
    finally:
        # The operator has made everything then. That it may overwrite its own "Running" is no matter of ours.
        phase = ("get", "daskcluster", "mine", "-n", place.steps, "-o", "jsonpath={.status.phase}")
        until(lambda: kubectl(*phase) in {"Pending", "Running"}, "the operator has made the cluster", seconds=60)
        kubectl("delete", "daskcluster", "mine", "-n", place.steps, "--timeout=60s")


def test_uninstall_takes_away_what_install_made_and_nothing_else(
    place: Place, capsys: pytest.CaptureFixture[str]
) -> None:
    definitions = kubectl("get", DEFINITIONS, "-o", "name")
    assert main(place.command("uninstall")) == 0
    assert f"kept      Namespace {place.steps}" in capsys.readouterr().out
    left = kubectl("get", "roles,rolebindings,serviceaccounts", "-n", place.steps, "-o", "name").split()
    assert left == ["serviceaccount/default"]
    assert kubectl("get", "namespace", place.operator, "-o", "name", check=False) == ""
    assert kubectl("get", DEFINITIONS, "-o", "name") == definitions


@pytest.mark.long
def test_the_operator_serves_on_when_one_of_its_namespaces_is_deleted(worker_image: str, store: str) -> None:
    with fresh_namespace() as kept, installed(kept, worker_image) as home:
        with fresh_namespace() as gone:
            assert main(Place(gone, home, worker_image).command("install")) == 0
        kubectl("wait", "--for=delete", f"namespace/{gone}", "--timeout=60s")
        # One that begins without the namespace meets at once what a running one meets when it looks again.
        kubectl("rollout", "restart", "deployment/cellyard-operator", "-n", home)
        kubectl("rollout", "status", "deployment/cellyard-operator", "-n", home, "--timeout=60s")
        logs = ("logs", "deployment/cellyard-operator", "-n", home)
        deadline = time.monotonic() + 150
        while not re.search(rf"#10 failed; will retry: \S+ \S+/namespaces/{gone}/pods", said := kubectl(*logs)):
            assert time.monotonic() < deadline, said
            time.sleep(1)
        restarts = "jsonpath={.items[*].status.containerStatuses[*].restartCount}"
        assert kubectl("get", "pods", "-n", home, "-o", restarts) == "0"
        assert main(Place(kept, home, worker_image).command("check")) == 0
