"""The examples on a real cluster: what they show and make is what a plain kernel shows and makes."""

from __future__ import annotations

import json
import re
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest
from nbformat import NotebookNode

from cellyard.service.client import EngineClient
from cellyard.settings import load_settings
from tests.cluster.conftest import cluster_settings, fresh_bucket, fresh_namespace, installed, kubectl
from tests.cluster.leftovers import left_behind, until
from tests.house.source_tree import ROOT
from tests.notebooks.execution import Executed, execute, is_step, read, without_steps

pytestmark = [pytest.mark.long, pytest.mark.timeout(900)]

IDLE = 20
SMALLER = {"--cpu 2": "--cpu 0.75", "--cpu 1": "--cpu 0.5", "--cpu 0.5": "--cpu 0.25"}
"""So that workers of all three sizes have room on a node of two cores, beside their scheduler."""


@dataclass
class Ran:
    """One example run both ways; ``together`` are the most sizes of workers that ran at the same time."""

    notebook: NotebookNode
    plain: Executed
    steps: Executed
    together: int
    namespace: str
    states: list[str] = field(default_factory=list)
    places: set[str] = field(default_factory=set)


@pytest.fixture(scope="module", params=["digits", "orders"])
def ran(
    request: pytest.FixtureRequest,
    kubeconfig: str,
    s3_server: None,
    worker_image: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Ran]:
    notebook = _smaller(read(ROOT / f"examples/{request.param}.ipynb"))
    folders = [tmp_path_factory.mktemp(f"{request.param}-{way}") for way in ("plain", "steps")]
    with (
        fresh_namespace() as namespace,
        installed(namespace, worker_image),
        fresh_bucket() as store,
        tempfile.TemporaryDirectory(prefix="cy-") as home,
    ):
        env = {
            **cluster_settings(namespace, worker_image, store),
            "CELLYARD_HOME": home,
            "CELLYARD_KUBERNETES_IDLE": f"{IDLE}s",
        }
        plain = execute(without_steps(notebook), folders[0], env)
        with _counted(namespace) as together:
            steps = execute(notebook, folders[1], env, timeout=300)
        client = EngineClient(load_settings(env))
        try:
            found = [step for run in client.runs(limit=100) for step in client.steps(run["id"])]
            states = [step["state"] for step in found]
            places = {str(step["worker"]) for step in found}
            yield Ran(notebook, plain, steps, max(together, default=0), namespace, states, places)
        finally:
            client.stop(drain=False, timeout=40)
            client.close()
            until("nothing is left of the engine", lambda: not left_behind(namespace), within=60)


def _smaller(notebook: NotebookNode) -> NotebookNode:
    for cell in notebook.cells:
        if is_step(cell):
            line, _, rest = cell.source.partition("\n")
            size = re.search(r"--cpu \S+", line)
            assert size is not None
            cell.source = f"{line.replace(size[0], SMALLER[size[0]])}\n{rest}"
    return notebook


@contextmanager
def _counted(namespace: str) -> Iterator[list[int]]:
    """How many sizes of workers run, looked at again and again meanwhile."""
    counts: list[int] = []
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(1.0):
            found = kubectl(
                "get", "pods", "-n", namespace, "-l", "dask.org/component=worker", "-o", "json", check=False
            )
            pods = json.loads(found)["items"] if found else []
            running = [pod for pod in pods if pod["status"].get("phase") == "Running"]
            counts.append(len({json.dumps(pod["spec"]["containers"][0]["resources"]) for pod in running}))

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield counts
    finally:
        ended.set()
        watcher.join()


def test_every_cell_shows_the_same(ran: Ran) -> None:
    assert ran.steps.outputs.keys() == ran.plain.outputs.keys()
    for cell, shown in ran.plain.outputs.items():
        assert ran.steps.outputs[cell] == shown, cell


def test_every_name_has_the_same_value(ran: Ran) -> None:
    assert ran.steps.values.keys() == ran.plain.values.keys()
    for name, value in ran.plain.values.items():
        assert ran.steps.values[name] == value, name


def test_names_share_objects_as_they_did(ran: Ran) -> None:
    assert ran.steps.sharing == ran.plain.sharing


def test_steps_ran_on_pods_of_three_sizes_side_by_side(ran: Ran) -> None:
    assert set(ran.states) == {"succeeded"}
    assert len(ran.states) == sum(map(is_step, ran.notebook.cells))
    assert all(place.startswith("cellyard-") for place in ran.places), ran.places
    assert ran.together >= 3


def test_soon_after_the_idle_time_nothing_is_left(ran: Ran) -> None:
    until("nothing is left", lambda: not left_behind(ran.namespace), within=IDLE + 60)
