"""What is built from a checkout where there is no Node: the wheel, with Node from PyPI."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.house.source_tree import ROOT

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]

NODE = {"node", "nodejs", "npm", "npx", "corepack"}
LEFT_OUT = (".venv", ".git", "node_modules", "labextension", "lib", "build", "dist", "*.pyc", "tsconfig.tsbuildinfo")


def without_node(folder: Path) -> str:
    """A PATH with all commands of this machine but those of Node."""
    folder.mkdir()
    for place in map(Path, os.environ["PATH"].split(os.pathsep)):
        for each in place.iterdir() if place.is_dir() else ():
            if each.name not in NODE and not (folder / each.name).is_symlink():
                (folder / each.name).symlink_to(each)
    return str(folder)


def test_a_wheel_is_built_from_a_checkout_on_a_machine_without_node(tmp_path: Path):
    env = os.environ | {"PATH": without_node(tmp_path / "bin"), "HOME": str(tmp_path)}
    assert shutil.which("node", path=env["PATH"]) is shutil.which("npm", path=env["PATH"]) is None
    checkout = tmp_path / "checkout"
    shutil.copytree(ROOT, checkout, ignore=shutil.ignore_patterns(*LEFT_OUT))
    subprocess.run([sys.executable, "-m", "venv", tmp_path / "env"], check=True)
    command = [tmp_path / "env" / "bin" / "pip", "wheel", "--no-deps", "--wheel-dir", tmp_path / "wheels", checkout]
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = (tmp_path / "wheels").glob("cellyard-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    place = "/data/share/jupyter/labextensions/@cellyard/labextension/"
    assert [name for name in names if f"{place}static/remoteEntry." in name]
    assert [name for name in names if name.endswith(f"{place}package.json")]
    assert [name for name in names if name.endswith("jupyter_server_config.d/jupyter_ext.json")]
