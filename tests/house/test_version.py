"""One version everywhere, and a change log whose pieces are well formed."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import version

import cellyard
from tests.house.source_tree import ROOT

FRAGMENT = re.compile(r"[a-z0-9-]+\.(added|changed|fixed|removed)\.md")


def test_the_version_is_the_newest_heading_of_the_change_log():
    headings = re.findall(r"^## (\d+\.\d+\.\d+\S*)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert headings[0] == cellyard.__version__


def test_the_version_is_the_same_in_the_build():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == cellyard.__version__ == version("cellyard")


def test_every_change_is_a_file_of_its_own_with_a_kind():
    fragments = [path for path in (ROOT / "docs/changes").iterdir() if path.name != "README.md"]
    odd = [path.name for path in fragments if not FRAGMENT.fullmatch(path.name)]
    assert not odd, "docs/changes/README.md says how a fragment is named"
    empty = [path.name for path in fragments if not path.read_text(encoding="utf-8").strip()]
    assert not empty
