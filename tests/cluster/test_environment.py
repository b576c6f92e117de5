"""What steps need on real pods: local modules, packages that the image lacks, versions that agree."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cluster.conftest import fresh_bucket, fresh_namespace, installed, kubectl
from tests.cluster.leftovers import left_behind, until
from tests.cluster.registries import Registry, install_wheel, registry
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home, engine_home

STEP = "%%step work --on kubernetes --memory 220MiB --cpu"


@pytest.fixture(scope="module")
def place(kubeconfig: str, worker_image: str) -> Iterator[str]:
    """A namespace with an operator, which stays until nothing of ours is left there."""
    with fresh_namespace() as name, installed(name, worker_image):
        yield name
        until("nothing is left", lambda: not left_behind(name))


@pytest.fixture(scope="module")
def index(place: str, s3_server: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry, which the workers know from a Secret, and the store from the same."""
    with registry(tmp_path_factory.mktemp("registry"), os.environ["AWS_ENDPOINT_URL"]) as found:
        secret = {
            "apiVersion": "v1",
            "kind": "Secret",
            "metadata": {"name": "registry", "namespace": place},
            "stringData": {
                "UV_DEFAULT_INDEX": found.url,
                **{name: value for name, value in os.environ.items() if name.startswith("AWS_")},
            },
        }
        kubectl("create", "-f", "-", stdin=secret)
        yield found


@pytest.fixture(scope="module")
def home(place: str, worker_image: str, s3_server: None, index: Registry) -> Iterator[Home]:
    """An engine that uses the namespace; its clients leave nothing there."""
    with (
        fresh_bucket() as url,
        engine_home(
            CELLYARD_STORE=url,
            CELLYARD_KUBERNETES_NAMESPACE=place,
            CELLYARD_KUBERNETES_IMAGE=worker_image,
            CELLYARD_KUBERNETES_SECRETS="registry",
        ) as found,
    ):
        found.client().ensure()
        yield found


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("project")


@pytest.fixture(scope="module")
def kernel(home: Home, project: Path, index: Registry, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    """A kernel that has the registry's package, which no image has."""
    site = tmp_path_factory.mktemp("kernel") / "site-packages"
    install_wheel(tmp_path_factory.getbasetemp() / "registry0", site)
    with kernel_at({**home.env, "PYTHONPATH": str(site)}, folder=str(project)) as found:
        yield found


def test_a_local_module_is_used_on_a_pod_and_so_is_its_next_form(kernel, project):
    (project / "helper.py").write_text("def f(x):\n    return x + 1\n")
    kernel.run("import helper")
    kernel.run(f"{STEP} 0.4\nimport os\ny, where = helper.f(1), (helper.__file__, os.getcwd())")
    assert kernel.look("y") == 2
    file, folder = kernel.look("where")
    assert "/environment/modules/" in file
    assert "/environment/scratch/" in folder
    (project / "helper.py").write_text("def f(x):\n    return x + 100\n")
    ran = kernel.run(f"{STEP} 0.4\ny = helper.f(1)")
    assert kernel.look("y") == 101
    assert "helper has changed since the kernel imported it" in ran.stderr


def test_a_package_that_the_image_lacks_is_installed_once_for_all_workers(kernel, index):
    kernel.run("import cellyard_tiny")
    source = "import socket\nsaid, pod = cellyard_tiny.shout('hello'), socket.gethostname()"
    first = kernel.run(f"{STEP} 0.4\n{source}")
    pods = [kernel.look("pod")]
    assert kernel.look("said") == "HELLO!"
    assert "installing 1 package that the image lacks: cellyard-tiny 1.2.3" in first.stderr
    second = kernel.run(f"{STEP} 0.41\n{source}")  # of another shape: another pod
    pods.append(kernel.look("pod"))
    assert len(set(pods)) == 2
    assert "installing" not in second.stderr
    assert "1 package put in place" in second.stderr
    assert index.fetched["/cellyard_tiny-1.2.3-py3-none-any.whl"] == 1


def test_a_version_that_differs_is_refused_with_the_table(home, project, tmp_path):
    info = tmp_path / "site-packages" / "cloudpickle-0.0.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: cloudpickle\nVersion: 0.0.1\n")
    with kernel_at({**home.env, "PYTHONPATH": str(info.parent)}, folder=str(project)) as other:
        ran = other.fail(f"{STEP} 0.4\ny = 1")
    assert "VersionMismatch" in ran.words
    [row] = [line.split() for line in ran.words.splitlines() if line.split()[:1] == ["cloudpickle"]]
    assert row[1] == "0.0.1"
    assert row[-2:] == ["<-", "differs"]
