"""The scripts that people and CI call."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.house.source_tree import ROOT

SHELL = [*(path for path in sorted((ROOT / "scripts").iterdir()) if "bash" in path.read_text().split("\n")[0])]


@pytest.mark.parametrize("path", [*SHELL, ROOT / ".ci/run"], ids=lambda path: path.name)
def test_a_script_parses_stops_at_errors_and_can_be_run(path):
    done = subprocess.run(["bash", "-n", str(path)], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done.stderr
    assert os.access(path, os.X_OK)
    assert "set -euo pipefail" in path.read_text()


def test_ci_calls_what_people_call():
    assert "scripts/test" in (ROOT / ".ci/run").read_text()
