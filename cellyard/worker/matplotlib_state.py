"""What a notebook may set in matplotlib, as a part of the process state: parameters, colormaps and fonts of its own.

Each function is called only where the module that it is about is imported.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from itertools import takewhile
from pathlib import Path
from typing import Any

__all__ = ["colormaps", "fonts", "rc_params", "set_colormaps", "set_fonts", "set_rc_params"]

_OWN_PARAMETERS = {"backend", "backend_fallback", "interactive", "toolbar"}
#: By the names that are registered beside matplotlib's own: those that no library has registered.
_of_notebook: dict[tuple[str, ...], frozenset[str]] = {}


def rc_params() -> dict[str, Any]:
    """Parameters that differ from matplotlib's own defaults; the backend is the worker's."""
    import matplotlib

    default = matplotlib.rcParamsDefault
    found: dict[str, Any] = {}
    for key, value in dict.items(matplotlib.rcParams):
        usual = dict.get(default, key)
        if usual is not value and key not in _OWN_PARAMETERS and usual != value:
            found[key] = value
    return found


def set_rc_params(value: Mapping[str, Any]) -> None:
    """Have these differ, and no others."""
    import matplotlib

    now: dict[Any, Any] = matplotlib.rcParams
    default: dict[Any, Any] = matplotlib.rcParamsDefault
    for key in rc_params().keys() - value.keys():
        dict.__setitem__(now, key, dict.get(default, key))
    for key, setting in value.items():
        dict.__setitem__(now, key, setting)


def colormaps() -> dict[str, Any]:
    """Those that the notebook has registered, by name."""
    registered: Any = _registry()
    built_in = set(registered._builtin_cmaps)
    added = tuple(name for name in registered._cmaps if name not in built_in)
    if not added:
        return {}
    if added not in _of_notebook:
        _of_notebook[added] = frozenset(added) - _of_libraries()
    return {name: registered._cmaps[name] for name in added if name in _of_notebook[added]}


def _registry() -> Any:
    # matplotlib itself has it under its name only when all of it has been imported.
    return sys.modules["matplotlib.cm"]._colormaps


def _of_libraries() -> set[str]:
    """The names of colormaps that are variables of a library, which registers them when it is imported."""
    kind = sys.modules["matplotlib.colors"].Colormap
    own = sys.modules["__main__"]  # which multiprocessing may know by a second name
    homes = [module for module in list(sys.modules.values()) if module is not own]
    return {each.name for home in homes for each in list(vars(home).values()) if issubclass(type(each), kind)}


def set_colormaps(value: Mapping[str, Any]) -> None:
    """Have these and no others of the notebook."""
    registry, now = _registry(), colormaps()
    for name in now.keys() - value.keys():
        registry.unregister(name)
    for name, colors in value.items():
        if now.get(name) != colors:
            registry.register(colors, name=name, force=True)


def fonts() -> tuple[str, ...]:
    """Files that were added after all that the system has, in order."""
    library: Any = sys.modules["matplotlib.font_manager"]
    folders = (*library.X11FontDirectories, *library.OSXFontDirectories, str(Path(library.__file__).parent))
    files = (each.fname for each in reversed(library.fontManager.ttflist))
    return tuple(reversed(list(takewhile(lambda file: not file.startswith(folders), files))))


def set_fonts(value: Sequence[str]) -> None:
    """Add those that are not known here, as far as their files are here."""
    library: Any = sys.modules["matplotlib.font_manager"]
    known = {each.fname for each in library.fontManager.ttflist}
    for file in value:
        if file not in known and Path(file).exists():
            library.fontManager.addfont(file)
