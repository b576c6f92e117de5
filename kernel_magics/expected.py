"""What a step is expected to make, and what a cell uses of it: judged by the text, before anything runs."""

from __future__ import annotations

import ast
import types
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cellyard.analysis import token_names
from cellyard.analysis.facts import Facts
from cellyard.errors import InvalidCell
from cellyard.model.step_line import StepLine

if TYPE_CHECKING:
    from kernel_magics.namespace import Namespace

__all__ = ["expected_names", "names_read"]


def expected_names(source: str, facts: Facts, options: StepLine, names: Mapping[str, Any]) -> set[str]:
    """The names for which others shall wait: those that the cell binds, and those whose values it changes on the face
    of it. Nobody waits for what it only hands to functions, though these might change that."""
    catch = {options.catch} if options.catch else set()
    if options.outputs is not None:
        return set(options.outputs) | catch
    changed = set(_changed(source)) & facts.mutates
    modules = {name for name in facts.imports | changed if issubclass(type(names.get(name)), types.ModuleType)}
    return (set(facts.writes) | changed) - modules | catch


def names_read(source: str, namespace: Namespace) -> set[str]:
    """The names that the cell may use, also through the functions that it calls."""
    try:
        facts = namespace.analyze(source)
    except InvalidCell:
        return namespace.reached(token_names(source))
    if facts.uses_dynamic:
        return namespace.reached(token_names(source))
    used = set(facts.reads | facts.mentions | facts.builtins_read)
    for inner in facts.functions.values():
        used |= inner.reads
    return namespace.reached(used)


def _changed(source: str) -> Iterator[str]:
    """The first names of what is assigned to (``df["x"] = …``), and of statements that only call a method."""
    try:
        tree = ast.parse(source)
    except SyntaxError:  # of IPython
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute | ast.Subscript) and isinstance(node.ctx, ast.Store | ast.Del):
            yield from _root(node)
        elif isinstance(node, ast.Expr) and isinstance(call := node.value, ast.Call):
            yield from _root(call.func) if isinstance(call.func, ast.Attribute) else ()


def _root(node: ast.expr) -> Iterator[str]:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    if isinstance(node, ast.Name):
        yield node.id
