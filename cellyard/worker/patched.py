"""What patches in a text lead to in this process, for them to travel from now on."""

from __future__ import annotations

import sys
import types
from collections.abc import Iterable, Mapping
from typing import Any

from cellyard.analysis.patches import Patch
from cellyard.artifacts.patches import know, know_of_object, may_have_places

__all__ = ["know_patches", "owner_of"]


def owner_of(patch: Patch, namespace: Mapping[str, Any]) -> tuple[Any, Any]:
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


def know_patches(patches: Iterable[Patch], namespace: Mapping[str, Any]) -> None:
    """From now on attributes that code with these global names may have set travel, as far as they lead to a module or
    class of others."""
    for patch in patches:
        around, owner = owner_of(patch, namespace)
        if may_have_places(owner):
            know(owner, patch.attribute)
        elif owner is not None and issubclass(type(around), types.ModuleType):
            know_of_object(around, patch.path[-1], patch.attribute)
