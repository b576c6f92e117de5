"""The table [kubernetes]: understood as people write it, refused with a reason, and the same after a journey."""

from __future__ import annotations

import json
from typing import Any

import pytest

from cellyard.errors import InvalidSettings
from cellyard.model.kubernetes import KubernetesSettings, read_kubernetes
from cellyard.settings import Settings, load_settings

FILE = """
backend = "kubernetes"

[kubernetes]
namespace = "team"
image = "registry.example/worker:1"
idle = "2m"
max_cpu = 16
max_memory = "64GiB"
memory = "1GiB"
node_selector = { pool = "work" }
secrets = ["db", { secret = "api", key = "token", env = "TOKEN" }]

[[kubernetes.volumes]]
mount_path = "/data"
persistentVolumeClaim = { claimName = "data" }
"""


def test_the_table_of_the_file_is_read(tmp_path):
    (tmp_path / "settings.toml").write_text(FILE)
    found = load_settings({"CELLYARD_HOME": str(tmp_path)})
    assert found.backend == "kubernetes"
    kubernetes = found.kubernetes
    assert (kubernetes.namespace, kubernetes.image) == ("team", "registry.example/worker:1")
    assert (kubernetes.idle, kubernetes.max_cpu, kubernetes.max_memory) == (120.0, 16.0, 64 << 30)
    assert kubernetes.memory == 1 << 30
    assert kubernetes.node_selector == {"pool": "work"}
    assert kubernetes.secrets == ("db", {"secret": "api", "key": "token", "env": "TOKEN"})
    assert kubernetes.volumes == ({"mount_path": "/data", "persistentVolumeClaim": {"claimName": "data"}},)


def test_variables_come_before_the_file(tmp_path):
    (tmp_path / "settings.toml").write_text(FILE)
    env = {
        "CELLYARD_HOME": str(tmp_path),
        "CELLYARD_KUBERNETES_NAMESPACE": "mine",
        "CELLYARD_KUBERNETES_SECRETS": "one, two",
    }
    found = load_settings(env).kubernetes
    assert (found.namespace, found.image) == ("mine", "registry.example/worker:1")
    assert found.secrets == ("one", "two")


def test_they_reach_another_process_as_they_are(tmp_path):
    (tmp_path / "settings.toml").write_text(FILE)
    found = load_settings({"CELLYARD_HOME": str(tmp_path)})
    assert load_settings(found.to_env()) == found
    assert Settings.from_dict(json.loads(json.dumps(found.to_dict()))) == found


def test_without_a_table_everything_has_its_default(tmp_path):
    assert load_settings({"CELLYARD_HOME": str(tmp_path)}).kubernetes == KubernetesSettings()


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ({"namespcae": "x"}, "Did you mean 'namespace'"),
        ({"namespace": "Not A Name"}, "a name as Kubernetes has them"),
        ({"idle": "0s"}, "never be warm"),
        ({"max_workers": 0}, "above nothing"),
        ({"max_memory": 16000}, "unit is missing"),
        ({"scheduler": "scheduler:8786"}, "tcp://"),
        ({"volumes": [{"mount_path": "data", "emptyDir": {}}]}, "begins with /"),
        ({"volumes": [{"mount_path": "/data"}]}, "needs a source"),
        ({"secrets": [{"secret": "x"}]}, "secret, key and env"),
        ({"node_selector": {"a": 1}}, "table of texts"),
        ({"tolerations": ["x"]}, "list of tables"),
        ({"spot": {"nodes": {}}}, "node_selector and tolerations"),
    ],
)
def test_what_cannot_hold_is_refused_with_the_reason(table, reason):
    with pytest.raises(InvalidSettings, match=reason) as caught:
        read_kubernetes(table, "settings.toml")
    assert caught.value.key == f"kubernetes.{next(iter(table))}"


def test_a_table_that_is_none_is_refused(tmp_path):
    (tmp_path / "settings.toml").write_text('kubernetes = "yes"')
    with pytest.raises(InvalidSettings, match="a table is needed"):
        load_settings({"CELLYARD_HOME": str(tmp_path)})


@pytest.mark.parametrize(
    ("table", "passes"),
    [
        ({}, True),
        ({"secrets": ["db"]}, False),
        ({"service_account": "reader"}, False),
        ({"secrets": ["db"], "pass_credentials": "true"}, True),
        ({"pass_credentials": False}, False),
    ],
)
def test_credentials_are_passed_unless_pods_have_their_own_or_the_settings_say(
    table: dict[str, Any], passes: bool
) -> None:
    assert read_kubernetes(table, "test").passes_credentials is passes
