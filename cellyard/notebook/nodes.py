"""What each cell of a notebook does through everything that it leads to: functions, constants, shared objects. Pure."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellyard.analysis.facts import Facts
from cellyard.analysis.purity import BUILTINS
from cellyard.notebook.effects import (
    Modules,
    aliases_of,
    effects_of,
    mutated_parameters,
)
from cellyard.notebook.roles import CellReading

__all__ = ["Node", "nodes_of"]


@dataclass(frozen=True, slots=True)
class Node:
    """One cell with what it does through the functions that it calls, too: ``reads`` and ``changes`` are names of the
    notebook, ``reached`` those functions and classes."""

    reading: CellReading
    reads: frozenset[str]
    changes: frozenset[str]
    writes: frozenset[str]
    random: bool
    state: bool

    @property
    def cell(self) -> int:
        return self.reading.cell.index

    @property
    def role(self) -> str:
        return self.reading.role

    @property
    def makes(self) -> frozenset[str]:
        """The names of which it makes a new version."""
        return self.writes | self.changes

    @property
    def sure(self) -> frozenset[str]:
        """The names of which it makes one whatever happens."""
        return self.reading.sure | self.changes


def nodes_of(readings: Sequence[CellReading], modules: Modules) -> tuple[Node, ...]:
    """The nodes of cells that were read in order."""
    found = _Cells(modules)
    return tuple(map(found.node, readings))


class _Cells:
    """What is known of the names of a notebook after some of its cells."""

    def __init__(self, modules: Modules) -> None:
        self._modules = modules
        self._known: set[str] = set()
        self._facts: dict[str, Facts] = {}
        self._needs: dict[str, frozenset[str]] = {}
        self._functions: dict[str, Any] = {}
        self._mutators: dict[str, frozenset[str | int]] = {}
        self._touching: dict[str, tuple[bool, bool]] = {}
        self._shared: dict[str, frozenset[str]] = {}

    def node(self, each: CellReading) -> Node:
        """The next cell."""
        self._define(each)
        before = dict(self._shared)
        self._share(each)
        direct = set(each.facts.reads | each.facts.mentions) | ((each.used - each.sure) & self._known)
        if each.uses_all:
            direct |= self._known
        if each.role not in {"step", "plain"}:
            effects = each.effects
            return Node(each, frozenset(direct), frozenset(), each.facts.writes, effects.random, effects.state)
        reached = set(_reached(direct | each.facts.functions.keys(), self._needs))
        writes = set(each.facts.writes) | ({each.options.catch} if each.options.catch else set())
        writes |= {name for function in reached & self._facts.keys() for name in self._facts[function].writes}
        reads = direct | {other for name in reached for other in self._needs[name] if other not in each.sure}
        effects = effects_of(each.tree, self._modules, self._mutators) if self._mutators else each.effects
        changed = set(effects.changed)
        for name in effects.changed:
            changed |= before.get(name, frozenset()) | self._shared.get(name, frozenset())
        changes = frozenset(changed & self._known - self._modules.keys() - (writes - reads))
        touched = [self._touching[name] for name in reached & self._touching.keys()]
        random = effects.random or any(one for one, _ in touched)
        state = effects.state or any(one for _, one in touched)
        return Node(each, frozenset(reads | changes), changes, frozenset(writes), random, state)

    def _define(self, each: CellReading) -> None:
        """Note what the cell defines."""
        functions = {name: body for name, body in each.definitions.items() if hasattr(body, "args")}
        for name, definition in each.definitions.items():
            effects = effects_of([definition], self._modules, deep=True)
            self._touching[name] = (effects.random, effects.state)
        gone = each.facts.writes & self._functions.keys() - functions.keys()
        for name in each.facts.writes - each.facts.functions.keys():
            self._facts.pop(name, None)
        self._facts |= each.facts.functions
        self._needs |= _needs(each)
        self._known |= each.facts.writes
        if functions or gone:
            kept = {name: body for name, body in self._functions.items() if name not in gone}
            self._functions = kept | functions
            self._mutators = mutated_parameters(self._functions, self._modules)

    def _share(self, each: CellReading) -> None:
        """Note which names share an object after the cell."""
        pairs = aliases_of(each.tree)
        for name in each.facts.writes:
            for other in self._shared.pop(name, frozenset()) - {name}:
                self._shared[other] -= {name}
        for one, other in pairs:
            together = self._shared.get(one, frozenset({one})) | self._shared.get(other, frozenset({other}))
            self._shared.update(dict.fromkeys(together, together))


def _reached(names: Iterable[str], needs: Mapping[str, frozenset[str]]) -> Iterator[str]:
    """The notebook's functions, classes and constants that these names lead to."""
    pending, seen = [name for name in names if name in needs], set()  # type: tuple[list[str], set[str]]
    while pending:
        name = pending.pop()
        if name not in seen:
            seen.add(name)
            yield name
            pending.extend(other for other in needs[name] if other in needs)


def _needs(each: CellReading) -> dict[str, frozenset[str]]:
    """What else is needed by whoever uses what the cell has bound: what functions read when they are called."""
    found = {name: frozenset[str]() for name in each.facts.writes}
    for node in each.tree:
        if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            inner = [part for part in ast.walk(node.value) if isinstance(part, ast.Lambda)]
            read = {
                part.id
                for one in inner
                for part in ast.walk(one)
                if isinstance(part, ast.Name) and part.id not in BUILTINS
            }
            found |= {target.id: frozenset(read) for target in targets if isinstance(target, ast.Name)}
    return found | {name: facts.reads for name, facts in each.facts.functions.items()}
