"""Which names a function or class body makes its own. Pure: syntax trees in, sets out."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

__all__ = ["Scope", "parameters", "scope_of", "target_names"]


class Scope(NamedTuple):
    """The names that a body binds, and those that it declares to be somebody else's."""

    own: frozenset[str]
    globals: frozenset[str]
    nonlocals: frozenset[str]
    unbound: frozenset[str]
    """Those of its own that it may unbind again, by ``del`` or at the end of a handler."""


def scope_of(body: Iterable[ast.AST], *, walrus: bool) -> Scope:
    """The scope of a body of statements (or of a lambda's expression); nested functions and classes are closed.

    Without ``walrus``, no expression is searched for ``:=``.
    """
    own: set[str] = set()
    outer: set[str] = set()
    nonlocals: set[str] = set()
    unbound: set[str] = set()
    by_context: dict[type, tuple[set[str], ...]] = {ast.Load: (), ast.Store: (own,), ast.Del: (own, unbound)}
    todo: list[Any] = list(body)
    while todo:
        node = todo.pop()
        kind = type(node)
        if kind is ast.Name:
            for names in by_context[type(node.ctx)]:
                names.add(node.id)
        elif kind in _CLOSED:
            own.update(_own_name(node))
            if walrus:
                todo.extend(_outside(node))
        elif kind in _COMPREHENSIONS:
            own.update(_walruses(node))
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            own.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
        elif kind in {ast.Global, ast.Nonlocal}:
            (outer if kind is ast.Global else nonlocals).update(node.names)
        elif kind in _SIMPLE or (not walrus and isinstance(node, ast.expr) and kind not in _TARGETS):
            continue
        else:
            captured = _captured(node)
            own.update(captured)
            if kind is ast.ExceptHandler:
                unbound.update(captured)
            todo.extend(ast.iter_child_nodes(node))
    return Scope(frozenset(own - outer - nonlocals), frozenset(outer), frozenset(nonlocals), frozenset(unbound))


_CLOSED = frozenset({ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda})
_COMPREHENSIONS = frozenset({ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp})
_TARGETS = frozenset({ast.Tuple, ast.List, ast.Starred})
_SIMPLE = frozenset({ast.Constant, ast.Pass, ast.Break, ast.Continue})


def _own_name(node: ast.AST) -> tuple[str, ...]:
    return () if isinstance(node, ast.Lambda) else (node.name,)  # type: ignore[attr-defined]


def _captured(node: ast.AST) -> tuple[str, ...]:
    """The name that a handler or a pattern binds."""
    name = node.rest if isinstance(node, ast.MatchMapping) else getattr(node, "name", None)
    return (name,) if isinstance(name, str) else ()


def _outside(node: ast.AST) -> Iterator[ast.AST]:
    """The parts of a definition that run in the scope around it."""
    if isinstance(node, ast.ClassDef):
        yield from node.bases
        yield from node.keywords
        yield from node.decorator_list
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)):
        yield from node.args.defaults
        yield from (default for default in node.args.kw_defaults if default is not None)
        if not isinstance(node, ast.Lambda):
            yield from node.decorator_list


def _walruses(node: ast.AST) -> Iterator[str]:
    """The names that ``:=`` inside a comprehension binds around it."""
    todo = list(ast.iter_child_nodes(node))
    while todo:
        inner = todo.pop()
        if isinstance(inner, ast.NamedExpr):
            yield inner.target.id
        if not isinstance(inner, ast.Lambda):
            todo.extend(ast.iter_child_nodes(inner))


def parameters(arguments: ast.arguments) -> list[str]:
    """The names of a function's parameters."""
    found = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)]
    return found + [arg.arg for arg in (arguments.vararg, arguments.kwarg) if arg is not None]


def target_names(target: ast.expr) -> list[str]:
    """The plain names that an assignment target binds."""
    if isinstance(target, ast.Name):
        return [target.id]
    if isinstance(target, (ast.Tuple, ast.List)):
        return [name for element in target.elts for name in target_names(element)]
    if isinstance(target, ast.Starred):
        return target_names(target.value)
    return []
