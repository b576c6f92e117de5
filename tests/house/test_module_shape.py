"""How a module looks from outside: its size, its name, its first line, and the names it offers."""

from __future__ import annotations

import ast
import importlib

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


def test_a_module_is_one_noun():
    lines = {path: len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    crowded = [f"{path.relative_to(ROOT)} has {count}" for path, count in lines.items() if count > MOST_LINES]
    assert not crowded, f"more than {MOST_LINES} lines, split by noun: {crowded}"
    assert not SAYS_NOTHING & {path.stem for path in lines}


def test_a_module_says_first_what_it_holds():
    silent = [dotted(path) for path in modules() if not ast.get_docstring(parsed(path))]
    assert not silent, f"no docstring: {silent}"


def test_the_names_offered_are_sorted_and_exist():
    wrong = {}
    for path in offering:
        module = importlib.import_module(dotted(path))
        offered = list(module.__all__)
        missing = [name for name in offered if not hasattr(module, name)]
        if offered != sorted(set(offered), key=order) or missing:
            wrong[dotted(path)] = missing or "not sorted, or twice"
    assert not wrong, wrong


def test_a_package_offers_every_name_it_gathers():
    lacking = {}
    for path in packages:
        gathered = {
            alias.asname or alias.name
            for node in parsed(path).body
            if isinstance(node, ast.ImportFrom) and node.module != "__future__"
            for alias in node.names
        }
        public = {name for name in gathered if not name.startswith("_") and name not in {"TYPE_CHECKING", "Any"}}
        offered = set(getattr(importlib.import_module(dotted(path)), "__all__", ()))
        if not public <= offered:
            lacking[dotted(path)] = sorted(public - offered)
    assert not lacking, f"not in __all__: {lacking}"
