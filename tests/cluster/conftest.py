"""For tests on a real Kubernetes and a real S3: what KUBECONFIG names, or the cluster that this machine can make.

Where there is neither, these tests are passed over, with the reason. On a cluster of your own they need an image of
this checkout that its nodes can pull, named in TEST_WORKER_IMAGE, and an S3 that its pods can reach
(AWS_ENDPOINT_URL and keys).
"""

from __future__ import annotations

import json
import os
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from cellyard.cli import main
from tests.cluster.images import bring_image
from tests.cluster.program import CLUSTER, ask, s3_variables

AWS = ("AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_DEFAULT_REGION")
"""The variables that tell of the S3 server."""
RESTRICTED = {f"pod-security.kubernetes.io/{mode}": "restricted" for mode in ("enforce", "warn")}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The first test here waits for cluster and image, which on a new machine takes minutes."""
    here = [item for item in items if item.path.parent == Path(__file__).parent]
    if here:
        here[0].add_marker(pytest.mark.timeout(900), append=False)


@pytest.fixture(scope="session")
def kubeconfig() -> Iterator[str]:
    """The path of a kubeconfig, which KUBECONFIG names for the rest of the session."""
    if os.environ.get("KUBECONFIG"):
        yield os.environ["KUBECONFIG"]
        return
    _require_program("a cluster (set KUBECONFIG)")
    path = ask("up").splitlines()[-1]
    with pytest.MonkeyPatch.context() as env:
        env.setenv("KUBECONFIG", path)
        yield path


@pytest.fixture(scope="session")
def worker_image(kubeconfig: str) -> str:
    """An image with this checkout's code that pods can start from."""
    given = os.environ.get("TEST_WORKER_IMAGE")
    if given:
        return given
    if not CLUSTER.is_file():
        pytest.skip("the cluster needs an image of this checkout: name it in TEST_WORKER_IMAGE")
    return bring_image()


@pytest.fixture(scope="session")
def s3_server() -> Iterator[None]:
    """An S3 server, which the AWS_* variables tell of for the rest of the session; pods reach it, too."""
    if os.environ.get("AWS_ENDPOINT_URL"):
        yield
        return
    _require_program("an S3 server (set AWS_ENDPOINT_URL and keys)")
    with pytest.MonkeyPatch.context() as env:
        for name, value in s3_variables().items():
            env.setenv(name, value)
        yield


@pytest.fixture
def s3(s3_server: None) -> Iterator[str]:
    """The s3:// URL of a place of the test's own: a new bucket, deleted with all that is in it."""
    with fresh_bucket() as url:
        yield url


@contextmanager
def fresh_bucket() -> Iterator[str]:
    """A new bucket's URL; needs the fixture ``s3_server``."""
    from botocore.session import Session

    client = Session().create_client("s3")
    bucket = f"cellyard-test-{uuid.uuid4().hex[:10]}"
    client.create_bucket(Bucket=bucket)
    try:
        yield f"s3://{bucket}/store"
    finally:
        for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket):
            for found in page.get("Contents", ()):
                client.delete_object(Bucket=bucket, Key=found["Key"])
        client.delete_bucket(Bucket=bucket)
        client.close()


@pytest.fixture
def namespace(kubeconfig: str) -> Iterator[str]:
    """A new namespace that refuses pods with more rights than they need; deleted, with all that is in it."""
    with fresh_namespace() as name:
        yield name


@contextmanager
def fresh_namespace() -> Iterator[str]:
    """A new namespace; needs the fixture ``kubeconfig``. Its deletion is asked for, and not waited for."""
    name = f"cellyard-test-{uuid.uuid4().hex[:8]}"
    manifest = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}}
    kubectl("create", "-f", "-", stdin=manifest)
    try:
        kubectl("wait", "--for=create", "serviceaccount/default", "-n", name, "--timeout=20s")
        yield name
    finally:
        kubectl("delete", "namespace", name, "--wait=false")


@contextmanager
def installed(namespace: str, image: str) -> Iterator[str]:
    """What `cellyard kubernetes install` makes for this namespace, with an operator for it alone, whose namespace it
    gives; uninstalled at the end, which holds only when nothing of Dask is left."""
    place = f"{namespace}-operator"
    where = ["--namespace", namespace, "--operator-namespace", place, "--image", image]
    assert main(["kubernetes", "install", *where]) == 0
    try:
        yield place
    finally:
        assert main(["kubernetes", "uninstall", *where]) == 0


def cluster_settings(namespace: str, image: str, store: str) -> dict[str, str]:
    """The variables of an engine whose steps go to the namespace unless they say otherwise; needs the fixtures
    ``kubeconfig`` and ``s3_server``."""
    return {
        "CELLYARD_STORE": store,
        "CELLYARD_BACKEND": "kubernetes",
        "CELLYARD_KUBERNETES_NAMESPACE": namespace,
        "CELLYARD_KUBERNETES_IMAGE": image,
        "CELLYARD_KUBERNETES_MEMORY": "300MiB",
        "KUBECONFIG": os.environ["KUBECONFIG"],
        **{name: os.environ[name] for name in AWS if os.environ.get(name)},
    }


def kubectl(*arguments: str, stdin: dict[str, Any] | None = None, check: bool = True) -> str:
    """What kubectl prints: a second pair of eyes, which shares no code with what is tested."""
    text = None if stdin is None else json.dumps(stdin)
    done = subprocess.run(["kubectl", *arguments], input=text, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0 or not check, f"kubectl {' '.join(arguments)}\n{done.stderr}"
    return done.stdout


def _require_program(what: str) -> None:
    if not CLUSTER.is_file():
        pytest.skip(f"{what} is needed")
