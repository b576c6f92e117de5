"""How a module looks from outside: its size, its name, its first line, and the names it offers."""

from __future__ import annotations

import ast
import importlib

import pytest

from tests.house.source_tree import ROOT, dotted, modules, parsed

MOST_LINES = 400
SAYS_NOTHING = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}

packages = [path for path in modules() if path.name == "__init__.py"]
offering = [path for path in modules() if "\n__all__ = " in path.read_text(encoding="utf-8")]


def order(name: str) -> tuple[int, str]:
    """Constants, then classes, then the rest, each by name: the order that the linter keeps, too."""
    if name.isupper():
        return 0, name
    return (1 if name[0].isupper() else 2), name


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_module_is_one_noun(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    assert lines <= MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines: split it by noun"
    assert path.stem not in SAYS_NOTHING


@pytest.mark.parametrize("path", modules(), ids=dotted)
def test_a_module_says_first_what_it_holds(path):
    assert ast.get_docstring(parsed(path)), f"{path.relative_to(ROOT)} has no docstring"


@pytest.mark.parametrize("path", offering, ids=dotted)
def test_the_names_offered_are_sorted_and_exist(path):
    module = importlib.import_module(dotted(path))
    assert list(module.__all__) == sorted(module.__all__, key=order)
    assert len(set(module.__all__)) == len(module.__all__)
    missing = [name for name in module.__all__ if not hasattr(module, name)]
    assert not missing, missing


@pytest.mark.parametrize("path", packages, ids=dotted)
def test_a_package_offers_every_name_it_gathers(path):
    gathered = {
        alias.asname or alias.name
        for node in parsed(path).body
        if isinstance(node, ast.ImportFrom) and node.module != "__future__"
        for alias in node.names
    }
    public = {name for name in gathered if not name.startswith("_") and name not in {"TYPE_CHECKING", "Any"}}
    offered = set(getattr(importlib.import_module(dotted(path)), "__all__", ()))
    assert public <= offered, f"not in __all__: {sorted(public - offered)}"
