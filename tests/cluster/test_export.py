"""A notebook exported to a CronJob, applied, and triggered: it runs inside the cluster, and leaves nothing behind."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import fsspec
import nbformat
import pytest

from cellyard.cli import main
from tests.cluster.conftest import fresh_bucket, fresh_namespace, installed, kubectl

CELLS = (
    "%load_ext kernel_magics",
    "%%step numbers --cpu 0.2 --memory 200MiB\nfrom words import word\nnumbers = [len(word)] * 3",
    "%%step total --cpu 0.3 --memory 200MiB\nimport os\ntotal = sum(numbers)\nprint(total, os.environ['CELLYARD_POD'])",
)
SAID = {"bundle": "run 1 succeeded", "notebook": "total: succeeded"}
SUFFIXES = {"bundle": "html", "notebook": "ipynb"}
KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_REGION", "AWS_ENDPOINT_URL")

pytestmark = pytest.mark.timeout(300)


@dataclass(frozen=True)
class Ran:
    """An exported notebook whose job was triggered and has ended. ``carried``: what the job had with it."""

    carried: str
    folder: Path
    namespace: str
    store: str
    said: str
    status: dict[str, object]


@pytest.fixture(scope="module", params=["bundle", pytest.param("notebook", marks=pytest.mark.long)])
def ran(
    request: pytest.FixtureRequest, s3_server: None, worker_image: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Ran]:
    folder = tmp_path_factory.mktemp("export")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell) for cell in CELLS])
    nbformat.write(notebook, folder / "Tiny one.ipynb")
    (folder / "words.py").write_text("word = 'fourteen letter'[:14]\n")
    with (
        fresh_bucket() as store,
        fresh_namespace() as namespace,
        installed(namespace, worker_image),
        pytest.MonkeyPatch.context() as env,
    ):
        env.setenv("CELLYARD_STORE", store)
        given = {key: os.environ[key] for key in KEYS if key in os.environ}
        secret = {"metadata": {"name": "store", "namespace": namespace}, "stringData": given}
        kubectl("create", "-f", "-", stdin={"apiVersion": "v1", "kind": "Secret", **secret})
        place = ["--namespace", namespace, "--image", worker_image, "--secret", "store"]
        command = ["export", str(folder / "Tiny one.ipynb"), "--include", str(folder / "words.py"), "--name", "tiny"]
        # Without the lock: the packages of this environment are in the image.
        form = ["--as-notebook"] if request.param == "notebook" else ["--no-lock"]
        assert main([*command, "--to", "kubernetes", *form, "--output", str(folder / "out"), *place, "--apply"]) == 0
        kubectl("create", "job", "--from=cronjob/tiny", "tiny-now", "-n", namespace)
        ended = "--for=jsonpath={.status.conditions[?(@.status=='True')].type}"
        kubectl("wait", "job/tiny-now", "-n", namespace, f"{ended}=SuccessCriteriaMet", "--timeout=90s", check=False)
        said = kubectl("logs", "job/tiny-now", "-n", namespace, check=False)
        status = json.loads(kubectl("get", "job", "tiny-now", "-n", namespace, "-o", "json"))["status"]
        yield Ran(request.param, folder / "out", namespace, store, said, status)


def test_a_triggered_job_runs_the_notebook_to_success(ran: Ran) -> None:
    assert ran.status.get("succeeded") == 1, ran.said
    assert SAID[ran.carried] in ran.said


def test_its_steps_ran_on_pods_of_their_own(ran: Ran) -> None:
    files = fsspec.filesystem("s3").glob(f"{ran.store}/executed/tiny/*.{SUFFIXES[ran.carried]}")
    assert len(files) == 1
    with fsspec.open(f"s3://{files[0]}") as file:
        assert "42 cellyard-" in file.read().decode()


def test_nothing_of_it_is_left(ran: Ran) -> None:
    kubectl("wait", "--for=delete", "pods", "-l", "dask.org/cluster-name", "-n", ran.namespace, "--timeout=30s")
    assert kubectl("get", "daskclusters,daskworkergroups,services,deployments", "-n", ran.namespace, "-o", "name") == ""


def test_what_was_written_is_what_the_cluster_has(ran: Ran) -> None:
    assert sorted(path.name for path in ran.folder.iterdir()) == [
        f"1-{ran.carried}.yaml",
        "2-rights.yaml",
        "3-cronjob.yaml",
        "README.md",
    ]
    done = subprocess.run(
        ["kubectl", "diff", "--server-side", "--field-manager=cellyard", "-f", str(ran.folder)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_no_secret_is_written_out(ran: Ran) -> None:
    texts = "".join(path.read_text() for path in ran.folder.iterdir())
    assert os.environ["AWS_SECRET_ACCESS_KEY"] not in texts
    assert "secretRef" in texts
