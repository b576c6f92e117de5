"""Variables of a module that code changes when it runs: the module's own functions, and code around that goes through
the module's name. Pure: text in, names out.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from cellyard.analysis.names import analyze
from cellyard.analysis.patches import Patch, patches_of, places_of
from cellyard.errors import InvalidCell

__all__ = ["ModuleVariables", "changed_through", "variables_of"]

_MOST_CHARACTERS = 400_000
"""What is longer is data."""


@dataclass(frozen=True, slots=True)
class ModuleVariables:
    """Global names of a module that its functions and methods ``rebind``, or ``change`` in place; and attributes that
    its code may ``set`` in what its names lead to, or change ``through`` them."""

    rebound: frozenset[str] = frozenset()
    changed: frozenset[str] = frozenset()
    set: frozenset[Patch] = frozenset()
    through: frozenset[Patch] = frozenset()


def variables_of(source: str) -> ModuleVariables:
    """What the functions and methods in the module of this text may change; nothing for text that does not parse."""
    if len(source) > _MOST_CHARACTERS or "def " not in source:
        return ModuleVariables()
    try:
        facts, tree = analyze(source), ast.parse(source)
    except (InvalidCell, SyntaxError, ValueError, RecursionError):
        return ModuleVariables()
    functions = facts.functions.values()
    rebound = frozenset[str]().union(*(each.writes | each.deletes for each in functions))
    changed = frozenset[str]().union(*(each.mutates for each in functions))
    return ModuleVariables(rebound, changed - rebound, patches_of(tree), changed_through(tree))


def changed_through(tree: ast.Module) -> frozenset[Patch]:
    """Attributes of names whose values the code changes in place, or calls a method of: ``helpers.CONFIG["a"] = 1``."""
    return places_of(tree, _changed)


def _changed(node: ast.AST) -> list[tuple[ast.expr, str]]:
    match node:
        case ast.Subscript(value=ast.Attribute(value=owner, attr=attribute), ctx=ast.Store() | ast.Del()):
            return [(owner, attribute)]
        case ast.Subscript(value=ast.Subscript() as inner, ctx=ast.Store() | ast.Del()):
            value: ast.expr = inner
            while isinstance(value, ast.Subscript):
                value = value.value
            return [(value.value, value.attr)] if isinstance(value, ast.Attribute) else []
        case ast.Call(func=ast.Attribute(value=ast.Attribute(value=owner, attr=attribute))):
            return [(owner, attribute)]
    return []
