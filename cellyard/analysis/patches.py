"""Attributes of modules and classes that code sets or deletes from outside (monkey patches). Pure.

Told by the text alone: whether a name leads to a module or a class at all shows where the code has run.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from cellyard.analysis.imports import bound_by_imports

__all__ = ["ANY", "Patch", "patches_of", "places_of", "set_in"]

ANY = ""
"""The attribute of which only the running code knows the name."""

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)
_SETTERS = frozenset({"setattr", "delattr"})

Targets = Callable[[ast.AST], Iterable[tuple[ast.expr, str]]]
"""What a node does something to an attribute of, and which attribute."""


@dataclass(frozen=True, slots=True)
class Patch:
    """``attribute`` of what the names of ``path`` lead to, from a global name or, with ``is_module``, from the module
    that its first name or names are."""

    path: tuple[str, ...]
    attribute: str
    is_module: bool = False


def patches_of(tree: ast.Module) -> frozenset[Patch]:
    """What running the cell, or one of the functions in it, may set or delete so."""
    return places_of(tree, set_in)


def places_of(tree: ast.Module, targets: Targets) -> frozenset[Patch]:
    """The places that ``targets`` finds in nodes, as far as global names or modules lead there."""
    return frozenset(_found(tree.body, {}, targets))


def _found(body: Iterable[ast.AST], known: Mapping[str, str], targets: Targets) -> Iterator[Patch]:
    """``known``: names with the modules that imports around have bound them to, empty for what is no global."""
    statements = list(body)
    nodes = list(_own(statements))
    imported = bound_by_imports(nodes)
    known = {**known, **{name: module for name, module in imported.items() if not module.startswith(".")}}
    for node in nodes:
        for target in targets(node):
            if (patch := _patch(target, known)) is not None:
                yield patch
        if isinstance(node, _SCOPES):
            yield from _found(*_inside(node, known), targets)


def _own(body: Iterable[ast.AST]) -> Iterator[ast.AST]:
    """All nodes of this scope, with the heads of those inside it."""
    pending = list(body)
    while pending:
        node = pending.pop()
        yield node
        if not isinstance(node, _SCOPES):
            pending.extend(ast.iter_child_nodes(node))
        else:
            pending.extend(getattr(node, "decorator_list", ()))


def _inside(node: ast.AST, known: Mapping[str, str]) -> tuple[list[ast.AST], dict[str, str]]:
    """The body of an inner scope, and what names mean in it."""
    assert isinstance(node, _SCOPES)
    body: list[ast.AST] = [node.body] if isinstance(node, ast.Lambda) else list(node.body)
    if isinstance(node, ast.ClassDef):
        return body, dict(known)
    nodes = list(_own(body))
    declared = {name for each in nodes if isinstance(each, ast.Global) for name in each.names}
    stored = {each.id for each in nodes if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)}
    given = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
    return body, {**known, **dict.fromkeys((stored - declared) | given, "")}


def set_in(node: ast.AST) -> Iterator[tuple[ast.expr, str]]:
    """What a node sets or deletes an attribute of, and which."""
    match node:
        case ast.Attribute(value=value, attr=attribute, ctx=ast.Store() | ast.Del()):
            yield value, attribute
        case ast.Call(func=ast.Name(id=name), args=[value, ast.Constant(value=str(attribute)), *_]) if name in _SETTERS:
            yield value, attribute
        case ast.Call(func=ast.Name(id=name), args=[value, _, *_]) if name in _SETTERS:
            yield value, ANY


def _patch(target: tuple[ast.expr, str], known: Mapping[str, str]) -> Patch | None:
    node, attribute = target
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    if not isinstance(node, ast.Name) or known.get(node.id) == "":
        return None
    module = known.get(node.id)
    first = [node.id] if module is None else module.split(".")
    return Patch((*first, *reversed(names)), attribute, is_module=module is not None)
