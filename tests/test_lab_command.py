"""``cellyard lab``, and the notebook that it begins with."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version

import pytest

from cellyard.cli.lab import EXAMPLE
from tests.service.engines import Home, engine_home


@pytest.fixture
def home():
    with engine_home() as found:
        yield found


def cellyard(home: Home, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cellyard", *arguments],
        cwd=home.folder,
        env=home.process_env | {"IPYTHONDIR": str(home.folder / "ipython")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_it_opens_jupyterlab_on_an_example_of_its_own(home: Home):
    done = cellyard(home, "lab", "--option=--version")
    assert (done.returncode, done.stdout.splitlines()[-1]) == (0, version("jupyterlab")), done.stderr
    made = home.folder / EXAMPLE.name
    assert made.read_bytes() == EXAMPLE.read_bytes()
    made.write_text("mine", encoding="utf-8")
    cellyard(home, "lab", "--option=--version")
    assert made.read_text(encoding="utf-8") == "mine"


def test_a_notebook_that_is_not_there_is_told(home: Home):
    done = cellyard(home, "lab", "missing.ipynb")
    assert (done.returncode, "there is no notebook" in done.stderr) == (2, True)


def test_the_example_runs_from_top_to_bottom(home: Home):
    done = cellyard(home, "run", os.fspath(EXAMPLE), "--output", "executed.ipynb")
    assert done.returncode == 0, done.stdout + done.stderr
    executed = (home.folder / "executed.ipynb").read_text(encoding="utf-8")
    assert "expected 2,046, found 2," in executed
