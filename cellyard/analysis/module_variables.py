"""Variables of a module that code changes when it runs: the module's own functions, and code around that goes through
the module's name. Pure: text in, names out.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from cellyard.analysis.names import analyze
from cellyard.analysis.patches import Patch, patches_of, places_of, set_in
from cellyard.errors import InvalidCell

__all__ = ["ModuleVariables", "changed_through", "variables_of"]

_MOST_CHARACTERS = 400_000
"""What is longer is data."""
_ON_CLASSES = frozenset({"__new__", "__init_subclass__", "__class_getitem__"})


@dataclass(frozen=True, slots=True)
class ModuleVariables:
    """Global names of a module that its functions and methods ``rebind``, or ``change`` in place (of a class: its
    attributes); and attributes that
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
    changed = _classes_changed(tree).union(*(each.mutates for each in functions))
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


def _classes_changed(tree: ast.Module) -> frozenset[str]:
    """Classes of the module with methods that set or change attributes of the class: ``cls.made += 1``."""
    classes = [each for each in tree.body if isinstance(each, ast.ClassDef)]
    found: set[str] = set()
    for each in classes:  # in the order in which they descend from each other
        inherits = not found.isdisjoint(base.id for base in each.bases if isinstance(base, ast.Name))
        if inherits or any(_changes_class(method) for method in each.body if isinstance(method, ast.FunctionDef)):
            found.add(each.name)
    return frozenset(found)


def _changes_class(method: ast.FunctionDef) -> bool:
    if not method.args.args:
        return False
    first = method.args.args[0].arg
    of_class = any(isinstance(each, ast.Name) and each.id == "classmethod" for each in method.decorator_list)
    of_class = of_class or method.name in _ON_CLASSES
    owners = (owner for node in ast.walk(method) for owner, _ in (*set_in(node), *_changed(node)))
    return any(_is_class(owner, first, of_class=of_class) for owner in owners)


def _is_class(owner: ast.expr, first: str, *, of_class: bool) -> bool:
    match owner:
        case ast.Name(id=name):
            return of_class and name == first
        case ast.Attribute(value=ast.Name(id=name), attr="__class__"):
            return name == first
        case ast.Call(func=ast.Name(id="type"), args=[ast.Name(id=name)]):
            return name == first
    return False
