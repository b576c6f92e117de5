"""The facts of a cell too deeply nested to be read step by step: everything that may be. Pure."""

from __future__ import annotations

import ast
from types import MappingProxyType

from cellyard.analysis.facts import Facts
from cellyard.analysis.purity import BUILTINS

__all__ = ["coarse_facts"]


def coarse_facts(tree: ast.Module) -> Facts:
    """Every name that occurs is read, bound, unbound and changed as far as its kind of occurrence allows."""
    reads: dict[str, int] = {}
    writes: set[str] = set()
    deletes: set[str] = set()
    modules: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            reads.setdefault(node.id, node.lineno)
            if isinstance(node.ctx, ast.Store):
                writes.add(node.id)
            elif isinstance(node.ctx, ast.Del):
                deletes.add(node.id)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            writes.add(node.name)
        elif isinstance(node, ast.ExceptHandler) and node.name:
            writes.add(node.name)
            deletes.add(node.name)
        elif isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
            writes.add(node.name)
        elif isinstance(node, ast.MatchMapping) and node.rest:
            writes.add(node.rest)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            writes.update(alias.asname or alias.name.partition(".")[0] for alias in node.names)
            plain = isinstance(node, ast.Import)
            names = [alias.name for alias in node.names] if plain else [getattr(node, "module", None) or ""]
            modules.update(name.partition(".")[0] for name in names)
    builtin = BUILTINS & reads.keys()
    return Facts(
        reads=frozenset(reads.keys() - builtin),
        writes=frozenset(writes - {"*"}),
        deletes=frozenset(deletes),
        mutates=frozenset(reads.keys() - builtin),
        builtins_read=builtin,
        calls=frozenset(reads.keys() - builtin),
        reads_at=MappingProxyType({name: line for name, line in reads.items() if name not in builtin}),
        imported_modules=frozenset(modules - {""}),
        uses_dynamic=True,
    )
