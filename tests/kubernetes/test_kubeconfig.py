"""Which namespace is meant."""

from __future__ import annotations

import json

import pytest

from cellyard.kubernetes.kubeconfig import namespace_of
from cellyard.model.kubernetes import KubernetesSettings


@pytest.fixture
def kubeconfig(tmp_path, monkeypatch):
    contexts = [
        {"name": "one", "context": {"cluster": "c", "namespace": "team"}},
        {"name": "two", "context": {"cluster": "c"}},
    ]
    path = tmp_path / "config"
    path.write_text(json.dumps({"current-context": "one", "contexts": contexts}))
    monkeypatch.setenv("KUBECONFIG", str(path))
    return path


def test_the_setting_counts_most(kubeconfig):
    assert namespace_of(KubernetesSettings(namespace="mine")) == "mine"


def test_then_the_context(kubeconfig):
    assert namespace_of(KubernetesSettings()) == "team"


@pytest.mark.parametrize("context", ["two", "three"])
def test_else_our_own(kubeconfig, context):
    assert namespace_of(KubernetesSettings(context=context)) == "cellyard"


@pytest.mark.parametrize("text", ["[", "[]", ""])
def test_a_file_that_says_nothing_says_nothing(kubeconfig, text):
    kubeconfig.write_text(text)
    assert namespace_of(KubernetesSettings()) == "cellyard"
