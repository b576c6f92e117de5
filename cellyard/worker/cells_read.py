"""What the text of a shell's cells tells of modules of others: which attributes they may have set, and which modules
inside packages they import. How that travels is the part of :mod:`cellyard.artifacts.patches` and ``submodules``."""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterable
from typing import Any

from cellyard.analysis.imports import inner_modules
from cellyard.analysis.module_variables import changed_through
from cellyard.analysis.patches import Patch, patches_of
from cellyard.artifacts.submodules import note_import
from cellyard.worker.local_modules import know_changed, know_local_modules
from cellyard.worker.patched import know_patches

__all__ = ["CellsRead"]


class CellsRead:
    """The cells that it has been shown; with the functions in them, which any later cell may call."""

    def __init__(self, shell: Any, *, with_local_modules: bool = True) -> None:
        self._shell = shell
        self.with_local_modules = with_local_modules
        """Whether variables of these travel that functions change. Steps of a pipeline are not ordered by them."""
        self._found: set[Patch] = set()
        self._through: set[Patch] = set()

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
        self._through |= changed_through(tree)
        for name in inner_modules(tree):
            note_import(name)

    def unset(self, names: Iterable[str]) -> list[str]:
        """Those of the held names that stand for attributes which the cells themselves do not set."""
        own = {patch.attribute for patch in self._found}
        return [name for name in names if name.rpartition(":")[2] not in own]

    def _tree(self, source: str) -> ast.Module:
        try:
            return ast.parse(source)
        except SyntaxError:
            text: str = self._shell.input_transformer_manager.transform_cell(source)
            return ast.parse(text)

    def know_patches(self) -> None:
        """From now on attributes that they may have set travel, as far as they lead to a module or class of others; and
        so does what may change in local modules."""
        know_patches(self._found, self._shell.user_ns)
        if self.with_local_modules:
            know_local_modules(self._shell.user_ns)
            know_changed(self._through, self._shell.user_ns)
