"""Modules inside packages that the notebook has imported: ``import urllib.request`` binds ``urllib``, and who uses that
name in another process needs ``urllib.request`` there, too.
"""

from __future__ import annotations

import importlib
import sys
import types
from typing import Any

__all__ = ["import_package", "note_import", "package_reduce"]

_noted: dict[str, dict[str, None]] = {}
"""By the name of a package: the full names of modules in it."""


def note_import(name: str) -> None:
    """The notebook imports the module of that name."""
    package = name.partition(".")[0]
    if package != name:
        _noted.setdefault(package, {}).setdefault(name)


def package_reduce(module: types.ModuleType) -> Any:
    """The reduction of a package of which the notebook has imported modules; else NotImplemented."""
    inner = tuple(sorted(name for name in _noted.get(module.__name__, ()) if name in sys.modules))
    return (import_package, (module.__name__, inner)) if inner else NotImplemented


def import_package(package: str, inner: tuple[str, ...]) -> types.ModuleType:
    """The package, with these modules imported."""
    for name in inner:
        importlib.import_module(name)
        note_import(name)
    return importlib.import_module(package)
