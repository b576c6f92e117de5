"""Names that a cell does nothing with but to delete them. Pure; never raises."""

from __future__ import annotations

import ast

__all__ = ["only_deleted"]


def only_deleted(source: str) -> frozenset[str]:
    """The names whose values the cell does not need; none where it is not Python as it stands."""
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return frozenset()
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    deleted = {node.id for node in names if isinstance(node.ctx, ast.Del)}
    return frozenset(deleted - {node.id for node in names if not isinstance(node.ctx, ast.Del)})
