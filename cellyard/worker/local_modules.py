"""Variables of local modules (files beside the notebook) that code changes when it runs: a configuration that a
function fills, a threshold that another sets. How they travel is the part of :mod:`cellyard.artifacts.patches`.

What a process has imported is told by ``sys.modules``, and what may change in it by the module's text.
"""

from __future__ import annotations

import os
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cellyard.analysis.module_variables import ModuleVariables, variables_of
from cellyard.analysis.patches import Patch
from cellyard.artifacts.patches import know
from cellyard.environment.locality import is_local
from cellyard.worker.patched import know_patches, owner_of

__all__ = [
    "accept_readings",
    "know_changed",
    "know_local_modules",
    "local_folders",
    "local_tops",
    "look_over",
    "readings",
]

#: They are compared by what they are, not by who shares them.
_PLAIN = (type(None), bool, int, float, complex, str, bytes)
_OF_CLASSES = (*_PLAIN, list, dict, set, tuple)
_OURS = {"__main__", "cellyard", "kernel_magics", "jupyter_ext"}

_passed: set[str] = set()
"""Modules that are not local, or have not been imported from a file."""
_local: dict[str, tuple[object, ModuleVariables]] = {}
"""Local modules by name: the specification by which they were loaded, and what may change in them."""
_looked_over: list[tuple[int, str]] = []
"""How many modules there were then, and the latest."""
_readings: dict[tuple[str, int, int], ModuleVariables] = {}


def look_over() -> None:
    """Tell local modules from others, among those that this process has imported until now; quick where it was done
    before."""
    now = (len(sys.modules), next(reversed(sys.modules), ""))
    if _looked_over[-1:] == [now]:
        return
    _looked_over[:] = [now]
    for name in sys.modules.keys() - _passed - _local.keys():
        file = _file_of(sys.modules.get(name))
        if not file or name.partition(".")[0] in _OURS or not _is_local_folder(os.path.dirname(file)):  # noqa: PTH120
            _passed.add(name)
        else:
            _local[name] = (None, ModuleVariables())


def local_tops() -> frozenset[str]:
    """The top-level names of the local modules that this process has imported."""
    return frozenset(name.partition(".")[0] for name in _local)


def local_folders() -> list[str]:
    """Where the path has led to these."""
    look_over()
    files = {name: _file_of(sys.modules.get(name)) for name in _local if "." not in name}
    inside = {name: os.path.basename(file) == "__init__.py" for name, file in files.items()}  # noqa: PTH119
    return [os.path.dirname(os.path.dirname(file) if inside[name] else file) for name, file in files.items() if file]  # noqa: PTH120


def readings() -> dict[tuple[str, int, int], ModuleVariables]:
    """What this process has read of files as they are now, for another not to read them again."""
    return dict(_readings) if _local else {}


def accept_readings(found: Mapping[tuple[str, int, int], ModuleVariables]) -> None:
    """Another process has read these."""
    _readings.update(found)


def know_local_modules(namespace: Mapping[str, Any]) -> None:
    """From now on all that the functions of this process's local modules may change travels, and what a module has that
    is in this namespace, too: ``from config import settings``."""
    look_over()
    live = {name: module for name in _local if (module := sys.modules.get(name)) is not None}
    shared = {id(value): None for value in list(namespace.values()) if _may_change(value)} if live else {}
    for name, module in live.items():
        shared.update(dict.fromkeys(map(id, _know_module(module, _variables(name, module)))))
    for module in live.values() if shared else ():
        for name, value in list(vars(module).items()):
            if id(value) in shared and not name.startswith("__"):
                know(module, name)


def know_changed(patches: Iterable[Patch], namespace: Mapping[str, Any]) -> None:
    """The same for attributes of local modules that code with these global names may change in place."""
    for patch in patches:
        _, owner = owner_of(patch, namespace)
        if (
            issubclass(type(owner), types.ModuleType)
            and owner.__name__ in _local
            and _may_change(vars(owner).get(patch.attribute))
        ):
            know(owner, patch.attribute)


def _know_module(module: types.ModuleType, found: ModuleVariables) -> Iterator[Any]:
    """Yields the values that others may share."""
    names = vars(module)
    for name in found.rebound | found.changed:
        value = names.get(name)
        if name in found.changed and isinstance(value, type) and value.__module__ == module.__name__:
            for attribute, held in list(vars(value).items()):
                if type(held) in _OF_CLASSES and not attribute.startswith("__"):
                    know(value, attribute)
        elif name in found.rebound or _may_change(value):
            know(module, name)
            if _may_change(value):
                yield value
    know_changed(found.through, names)
    know_patches(found.set, names)


def _may_change(value: Any) -> bool:
    return not isinstance(value, (*_PLAIN, types.ModuleType, types.FunctionType, types.BuiltinFunctionType, type))


def _variables(name: str, module: types.ModuleType) -> ModuleVariables:
    """By the file as it is when the module is first seen; again where it has been loaded anew."""
    spec = getattr(module, "__spec__", None)
    known = _local[name]
    if known[0] is not spec or spec is None:
        known = _local[name] = (spec, _read(_file_of(module)))
    return known[1]


def _read(file: str) -> ModuleVariables:
    try:
        status = os.stat(file)  # noqa: PTH116
        key = (file, status.st_mtime_ns, status.st_size)
        if key not in _readings:
            _readings[key] = variables_of(Path(file).read_text(encoding="utf-8", errors="replace"))
    except OSError:  # removed since
        return ModuleVariables()
    return _readings[key]


def _file_of(module: Any) -> str:
    # Not asked by its name: a module that is loaded when it is first used would be.
    names = object.__getattribute__(module, "__dict__") if issubclass(type(module), types.ModuleType) else {}
    spec = names.get("__spec__")
    file = getattr(spec, "origin", None)
    return file if isinstance(file, str) and file.endswith(".py") and os.path.isabs(file) else ""  # noqa: PTH117


@lru_cache(maxsize=4096)
def _is_local_folder(folder: str) -> bool:
    return is_local(folder)
