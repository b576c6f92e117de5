"""Magics of the notebook itself: functions and classes that its cells have registered with the shell.

They are what the shell holds, beside the names: they travel as what a definition holds does, and are put into the
shell of the process where they arrive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import Any

from cellyard.artifacts.process_objects import find_here
from cellyard.artifacts.reference import HELD

__all__ = ["MAGICS", "as_held", "called_by", "new_magics", "own_magics", "register_magics"]

#: The name under which they travel among the values.
MAGICS = f"{HELD}magics"
_KINDS = ("line", "cell")


def own_magics() -> dict[str, Any]:
    """Each by its place in this process's shell: a function by its kind and name, a class of magics by its own."""
    shell = find_here("shell")
    if shell is None:
        return {}
    manager = shell.magics_manager
    found: dict[str, Any] = {}
    for name, function in vars(manager.user_magics).items():
        if getattr(function, "__module__", None) == "__main__":
            kinds = (kind for kind in _KINDS if manager.magics[kind].get(name) is function)
            found.update({f"{kind} {name}": function for kind in kinds})
    owners = (type(each) for each in manager.registry.values())
    return found | {f"class {owner.__qualname__}": owner for owner in owners if owner.__module__ == "__main__"}


def new_magics(before: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Those that were not there before, or are others now, as they travel; nothing where there are none."""
    now = own_magics()
    changed = {place: magic for place, magic in now.items() if before.get(place) is not magic}
    return {MAGICS: as_held(changed)} if changed else {}


def as_held(magics: Mapping[str, Any]) -> dict[str, Any]:
    """As changes of what is held."""
    return {"set": dict(magics), "removed": []}


def called_by(place: str, magic: Any) -> set[str]:
    """The words by which a cell calls it."""
    kind, _, name = place.partition(" ")
    return {word for words in magic.magics.values() for word in words} if kind == "class" else {name}


def register_magics(magics: Mapping[str, Any]) -> None:
    """Have this process's shell know them."""
    shell = find_here("shell")
    for place, magic in magics.items():
        kind, _, name = place.partition(" ")
        if kind != "class":
            shell.register_magic_function(magic, kind, name)
            continue
        with contextlib.suppress(Exception):  # of a constructor that wants more; its magics are then not found
            shell.register_magics(magic)
