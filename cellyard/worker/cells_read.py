"""What the text of a shell's cells tells of modules of others: which attributes they may have set, and which modules
inside packages they import. How that travels is the part of :mod:`cellyard.artifacts.patches` and ``submodules``."""

from __future__ import annotations

import ast
import sys
import types
import warnings
from typing import Any

from cellyard.analysis.imports import inner_modules
from cellyard.analysis.patches import Patch, patches_of
from cellyard.artifacts.patches import know, know_of_object, may_have_places
from cellyard.artifacts.submodules import note_import

__all__ = ["CellsRead"]


class CellsRead:
    """The cells that it has been shown; with the functions in them, which any later cell may call."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._found: set[Patch] = set()

    def read(self, source: str) -> None:
        """A raw cell has run; what is below a cell's magic counts as a cell. Nothing is known of one that does not
        parse."""
        while source.lstrip().startswith("%%"):
            source = source.lstrip().partition("\n")[2]
        if "." not in source and "attr" not in source:
            return
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = self._tree(source)
        except (SyntaxError, ValueError, RecursionError):
            return
        self._found |= patches_of(tree)
        for name in inner_modules(tree):
            note_import(name)

    def _tree(self, source: str) -> ast.Module:
        try:
            return ast.parse(source)
        except SyntaxError:
            text: str = self._shell.input_transformer_manager.transform_cell(source)
            return ast.parse(text)

    def know_patches(self) -> None:
        """From now on attributes that they may have set travel, as far as they lead to a module or class of others."""
        for patch in self._found:
            around, owner = _owner(patch, self._shell.user_ns)
            if may_have_places(owner):
                know(owner, patch.attribute)
            elif owner is not None and issubclass(type(around), types.ModuleType):
                know_of_object(around, patch.path[-1], patch.attribute)


def _owner(patch: Patch, namespace: dict[str, Any]) -> tuple[Any, Any]:
    """What is patched, after what it was found in. Nothing is computed on the way, and nothing is imported."""
    first, *names = patch.path
    around: Any = None
    found: Any = sys.modules.get(first) if patch.is_module else namespace.get(first)
    for name in names:
        if not may_have_places(found):
            return None, None
        around, found = found, vars(found).get(name)
        if found is None and issubclass(type(around), types.ModuleType):
            found = sys.modules.get(f"{around.__name__}.{name}")
    return around, found
