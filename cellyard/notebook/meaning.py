"""What each cell of a notebook means, as the parts of a cache key that its text tells. Pure.

Comments and formatting do not count: code is its syntax tree. What a cell reaches of the preamble counts with it; what
comes from steps is known only when they have run, and is not in here.
"""

from __future__ import annotations

import ast
import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellyard.analysis.purity import BUILTINS
from cellyard.notebook.building import Graph
from cellyard.notebook.effects import effects_of, imported_modules
from cellyard.notebook.nodes import Node
from cellyard.notebook.parameters import literal_constants

__all__ = ["OPTIONS", "Meaning", "digest_of", "meanings"]

OPTIONS = ("env", "inputs", "outputs", "image", "max_failures")
"""Options of the %%step line that may change a result; sizes and places do not."""


_LITERALS = (type(None), bool, int, float, complex, str, bytes)


def digest_of(*nodes: ast.AST) -> str:
    """The hash of code, whatever its comments and format."""
    text = "\n".join(ast.dump(node) for node in nodes)
    return hashlib.sha256(text.encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Meaning:
    """One cell's. ``parts``: code, definitions, parameters, options, settings. ``modules``: those that it may import or
    use, top-level. ``outside``: where it looks at the world beside the notebook, as (line, what), if it does; then the
    same meaning need not have the same result."""

    parts: Mapping[str, Any]
    modules: frozenset[str] = frozenset()
    outside: tuple[int, str] | None = None


def meanings(graph: Graph, values: Mapping[str, Any] | None = None) -> dict[int, Meaning]:
    """The meaning of each cell, by its index. ``values``: those of parameters that are not the defaults."""
    reader = _Meanings(values or {})
    return {node.cell: reader.meaning(node) for node in graph.nodes}


class _Meanings:
    def __init__(self, values: Mapping[str, Any]) -> None:
        self._values = values
        self._defined: dict[str, tuple[str, frozenset[str], frozenset[str]]] = {}
        self._parameters: dict[str, str] = {}
        self._outside: dict[str, str] = {}
        self._settings: list[str] = []
        self._is_seeded = False
        self._modules: dict[str, str] = {}

    def meaning(self, node: Node) -> Meaning:
        """The next cell's."""
        reading = node.reading
        imported = imported_modules(reading.tree)
        self._modules |= imported
        own = {name: found for each in reading.tree for name, found in self._looks(each)}
        names = self._reached(node.reads)
        definitions = {name: self._defined[name][0] for name in sorted(names & self._defined.keys())}
        parameters = {name: self._parameters[name] for name in sorted(names & self._parameters.keys())}
        modules = {_top(self._modules[name]) for name in names | imported.keys() if name in self._modules}
        modules |= reading.facts.imported_modules
        for name in names & self._defined.keys():
            modules |= self._defined[name][2]
        options = reading.options.to_dict()
        given = {name: str(options[name]) for name in OPTIONS if options.get(name)}
        parts = {
            "code": digest_of(*reading.tree),
            "definitions": definitions,
            "parameters": parameters,
            "options": given,
            "settings": _joined(self._settings),
        }
        outside = self._outside_of(node, names)
        self._is_seeded = self._is_seeded or "seed(" in reading.body
        if outside is None and node.random and not self._is_seeded and node.role in {"step", "plain"}:
            outside = (1 + reading.offset, "random numbers without a seed")
        if node.role in {"preamble", "parameters"}:
            self._define(node, own)
        else:
            self._forget(node.makes)
        return Meaning(parts, frozenset(modules), outside)

    def _outside_of(self, node: Node, names: Iterable[str]) -> tuple[int, str] | None:
        effects = node.reading.effects
        if effects.outside is not None:
            line, what = effects.outside
            return line + node.reading.offset, what
        for name in sorted(names):
            if name in self._outside and node.role in {"step", "plain"}:
                return node.reading.facts.reads_at.get(
                    name, 1
                ) + node.reading.offset, f"{self._outside[name]}, in {name}"
        return None

    def _reached(self, reads: Iterable[str]) -> frozenset[str]:
        """The names of the preamble that these lead to, and themselves."""
        pending, seen = list(reads), set()  # type: tuple[list[str], set[str]]
        while pending:
            name = pending.pop()
            if name not in seen:
                seen.add(name)
                pending.extend(self._defined[name][1] if name in self._defined else ())
        return frozenset(seen)

    def _define(self, node: Node, own: Mapping[str, str]) -> None:
        for statement in node.reading.tree:
            made = _bound_by(statement)
            needs = frozenset(
                each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and each.id not in BUILTINS
            )
            modules = frozenset(_top(each) for each in imported_modules([statement]).values())
            for name in made:
                if name in self._values:
                    self._parameters[name] = repr(self._values[name])
                    self._defined.pop(name, None)
                elif node.role == "parameters":
                    self._parameters[name] = _value_of(statement)
                else:
                    self._defined[name] = (_definition(statement, name), needs - {name}, modules)
                if name in own:
                    self._outside[name] = own[name]
            is_text = isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)
            is_setting = not made and not is_text and not isinstance(statement, ast.Pass)
            if is_setting or effects_of([statement], self._modules).state:
                used = sorted(self._reached(needs) & self._defined.keys())
                self._settings += [digest_of(statement), *(self._defined[name][0] for name in used)]

    def _forget(self, names: Iterable[str]) -> None:
        for name in names:
            for table in (self._defined, self._parameters, self._outside):
                table.pop(name, None)

    def _looks(self, statement: ast.stmt) -> Iterator[tuple[str, str]]:
        """The functions and classes among the statements that look outside when they are used."""
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found = effects_of([statement], self._modules, deep=True).outside
            if found is not None:
                yield statement.name, found[1]


def _definition(statement: ast.stmt, name: str) -> str:
    """An import counts by what it binds to that name, so that one more name beside it changes nothing."""
    imported = imported_modules([statement])
    if name in imported:
        return f"import {imported[name]}"
    constants = literal_constants([statement])
    if name in constants and type(constants[name]) in _LITERALS:
        return f"= {constants[name]!r}"
    return digest_of(statement)


def _value_of(statement: ast.stmt) -> str:
    value = getattr(statement, "value", None)
    if value is None:
        return digest_of(statement)
    try:
        return repr(ast.literal_eval(value))
    except (ValueError, TypeError):
        return ast.unparse(value)


def _bound_by(statement: ast.stmt) -> Sequence[str]:
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return [statement.name]
    imported = imported_modules([statement])
    stored = [each.id for each in ast.walk(statement) if isinstance(each, ast.Name) and isinstance(each.ctx, ast.Store)]
    return [*imported, *stored]


def _joined(digests: Sequence[str]) -> str:
    return hashlib.sha256("".join(digests).encode()).hexdigest()[:32] if digests else ""


def _top(module: str) -> str:
    return module.lstrip(".").partition(".")[0]
