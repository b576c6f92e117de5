"""The documents say what is there."""

from __future__ import annotations

import re

import pytest

from cellyard.model.step_options import OPTIONS
from tests.house.source_tree import ROOT
from tests.house.test_import_directions import ROOMS

DOCUMENTS = [*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md"))]
LINK = re.compile(r"\]\((?!https?:|mailto:|#)([^)#\s]+)")


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_link_leads_somewhere(path):
    targets = LINK.findall(path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert not missing, missing


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_every_option_is_explained(option):
    written = option.flag if option.metavar is None else f"{option.flag} {option.metavar}"
    assert f"`{written}`" in (ROOT / "docs/steps.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("room", sorted(ROOMS))
def test_every_room_is_in_the_plan_of_the_house(room):
    plan = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
    assert re.search(rf"^ *{room}(\.py|/)\s{{2,}}\S", plan, re.MULTILINE), f"{room} has no line in the tree"


@pytest.mark.parametrize("document", ["README.md", "CONTRIBUTING.md"])
def test_the_commands_named_exist(document):
    text = (ROOT / document).read_text(encoding="utf-8")
    named = set(re.findall(r"(?:\./)?(scripts/\w+)", text))
    assert named
    assert all((ROOT / name).is_file() for name in named)
