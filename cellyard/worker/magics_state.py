"""The magics that a notebook has beside those that every shell has, as a part of the process state.

Aliases of commands and of other magics, extensions by name, whether ``%`` may be left out, and how ``%autoreload``
goes. An extension is loaded where one of its magics is used: importing it may take long.
"""

from __future__ import annotations

import contextlib
from typing import Any

from cellyard.artifacts.process_objects import find_here

__all__ = ["capture_magics", "load_waiting_extensions", "set_magics"]

#: Extensions of the notebook that nobody has needed here yet.
_waiting: list[str] = []
#: Those that belong to the notebook's kernel alone.
_OWN = {"kernel_magics", "cellyard"}
#: IPython knows its own extensions by their short names alone.
_BUILT_IN = "IPython.extensions."


def capture_magics() -> dict[str, Any]:
    """What this process's shell has of them; empty where there is none."""
    shell = find_here("shell")
    if shell is None:
        return {}
    commands: dict[str, str] = {}
    others: dict[tuple[str, str], tuple[str, str | None]] = {}
    for kind, magics in shell.magics_manager.magics.items():
        for name, magic in magics.items():
            rule = type(magic).__name__
            if rule == "Alias":
                commands[name] = magic.cmd
            elif rule == "MagicAlias":
                others[kind, name] = (magic.magic_name, magic.magic_params)
    return {
        "automatic": shell.magics_manager.auto_magic,
        "commands": commands,
        "others": others,
        "extensions": sorted({*shell.extension_manager.loaded, *_waiting} - _OWN),
        "reloading": _reloading(shell),
    }


def set_magics(value: dict[str, Any]) -> None:
    """Apply them to this process's shell."""
    shell = find_here("shell")
    if shell is None or not value:
        return
    manager, aliases = shell.magics_manager, shell.alias_manager
    manager.auto_magic = value["automatic"]
    now = capture_magics()
    if now["commands"] != value["commands"]:
        for name in now["commands"].keys() - value["commands"].keys():
            aliases.undefine_alias(name)
        for name, command in value["commands"].items():
            is_magic = name not in now["commands"] and name in manager.magics["line"]
            if now["commands"].get(name) != command and not is_magic:  # a terminal has aliases for what a kernel knows
                aliases.define_alias(name, command)
    for (kind, name), (target, parameters) in value["others"].items():
        if now["others"].get((kind, name)) != (target, parameters):
            manager.register_alias(name, target, kind, parameters)
    _set_extensions(shell, value["extensions"])
    _set_reloading(shell, value["reloading"])


def _set_extensions(shell: Any, names: list[str]) -> None:
    loaded: set[str] = shell.extension_manager.loaded
    for name in loaded - _OWN - set(names):
        shell.extension_manager.unload_extension(name)
    _waiting[:] = [name for name in names if name not in loaded]
    if getattr(shell, "kernel", None) is not None:
        load_waiting_extensions()


def load_waiting_extensions() -> bool:
    """Load the notebook's extensions that this shell has not yet; True where there was one."""
    shell = find_here("shell")
    names, _waiting[:] = list(_waiting), []
    for name in names:
        with contextlib.suppress(ImportError):  # then its magics are not found, which says enough
            shell.extension_manager.load_extension(name.removeprefix(_BUILT_IN))
    return bool(names)


def _reloader(shell: Any) -> Any:
    magics = shell.magics_manager.registry.get("AutoreloadMagics")
    return getattr(magics, "_reloader", None)


def _reloading(shell: Any) -> tuple[bool, bool] | None:
    found = _reloader(shell)
    return None if found is None else (found.enabled, found.check_all)


def _set_reloading(shell: Any, value: tuple[bool, bool] | None) -> None:
    found = _reloader(shell)
    if found is not None and value is not None:
        found.enabled, found.check_all = value
