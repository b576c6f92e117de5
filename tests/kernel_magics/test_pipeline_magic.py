"""``%steps plan|run|resume``: the notebook's file as a pipeline, from inside it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.notebook.cells import document
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("nb") / "inside.ipynb"


@pytest.fixture(scope="module")
def inside(home: Home, path: Path) -> Iterator[Kernel]:
    with kernel_at({**home.env, "JPY_SESSION_NAME": str(path)}) as found:
        yield found


def test_it_is_planned_run_and_resumed_from_inside(inside: Kernel, path: Path):
    assert "%steps notebook PATH" in inside.fail("%steps plan").words
    cells = ["#parameters\nn = 1", "%load_ext kernel_magics", "%%step first\nx = n", "%%step second\ny = x / (n - 1)"]
    path.write_text(json.dumps(document(*cells)))
    planned = inside.run("%steps plan -p n 2")
    assert "run    first   it has no earlier result" in planned.result
    assert "<table>" in planned.results[0]["data"]["text/html"]
    ran = inside.run("%steps run --name inner", timeout=120)
    assert "step first: succeeded" in ran.stdout
    assert "step second: failed" in ran.stdout
    assert "ZeroDivisionError" in ran.stderr
    path.write_text(json.dumps(document(*cells[:3], "%%step second\ny = x / n")))
    resumed = inside.run("%steps resume", timeout=120)
    assert "step first: reused from run" in resumed.stdout
    assert "step second: succeeded" in resumed.stdout
    assert "not of type int" in inside.fail("%steps plan -p n two").words
    assert "there is no step" in inside.fail("%steps plan --only nothing").words
