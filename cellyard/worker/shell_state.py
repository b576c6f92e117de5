"""What a user may set in IPython's shell itself, as a part of the process state: captured and applied.

How many of a cell's values are shown, their precision, what an earlier cell has imported from ``__future__``, how
tracebacks look, the folders that ``%cd`` has been to, and the format and size of inline figures.
"""

from __future__ import annotations

import importlib
import sys
import warnings
from collections.abc import Callable
from typing import Any

import wrapt

from cellyard.artifacts.process_objects import find_here

__all__ = ["capture_figures", "capture_shell", "set_figures", "set_shell"]

_PLAIN_TEXT = ("float_precision", "float_format", "pprint", "max_width", "max_seq_length", "newline", "verbose")
_OF_SHELL = ("ast_node_interactivity", "separate_out", "show_rewritten_input", "dir_stack")
_OF_FIGURES = ("figure_formats", "print_figure_kwargs", "rc", "close_figures")


def capture_shell() -> dict[str, Any]:
    """The settings of this process's shell; empty where there is none."""
    shell = find_here("shell")
    if shell is None:
        return {}
    text = shell.display_formatter.formatters["text/plain"]
    return {
        "shell": {name: getattr(shell, name) for name in _OF_SHELL},
        "text": {name: getattr(text, name) for name in _PLAIN_TEXT if hasattr(text, name)},
        "types": list(shell.display_formatter.active_types),
        "flags": shell.compile.flags,
        "mode": shell.InteractiveTB.mode,
        "folders": [str(each) for each in shell.user_ns.get("_dh", ())],
    }


def set_shell(value: dict[str, Any]) -> None:
    """Apply them to this process's shell."""
    shell = find_here("shell")
    if shell is None or not value:
        return
    text = shell.display_formatter.formatters["text/plain"]
    for owner, settings in ((shell, value["shell"]), (text, value["text"])):
        for name, setting in settings.items():
            if getattr(owner, name, setting) != setting:  # a library may have put a formatter of its own there
                setattr(owner, name, setting)
    if shell.display_formatter.active_types != value["types"]:
        shell.display_formatter.active_types = value["types"]
    shell.compile.flags = value["flags"]
    shell.user_ns.setdefault("_dh", [])[:] = value["folders"]
    if shell.InteractiveTB.mode != value["mode"]:
        shell.InteractiveTB.set_mode(mode=value["mode"])


def _inline() -> Any:
    return sys.modules["matplotlib_inline.config"].InlineBackend.instance(parent=find_here("shell"))


_INLINE = "matplotlib_inline.backend_inline"
_OF_INLINE = {"inline", f"module://{_INLINE}"}
#: Backends that draw into files alone.
_SILENT = {"agg", "cairo", "pdf", "pgf", "ps", "svg", "template"}
#: What was set last: it holds even where nothing has been imported yet that it is about.
_wanted: dict[str, Any] = {}
_hooked: set[str] = set()
_configured_before: dict[str, Any] = {}


def _configured() -> dict[str, Any]:
    """What ``%config InlineBackend.…`` has said so far; where nothing has drawn yet, that is all that it does."""
    given = find_here("shell").config.get("InlineBackend", {})
    found = {name: _plain(given[name]) for name in _OF_FIGURES if name in given}
    return found | ({"figure_formats": {given["figure_format"]}} if "figure_format" in given else {})


def capture_figures() -> dict[str, Any]:
    """How inline figures are drawn, and whether they are: IPython learns of that from the first figure."""
    found = dict(_wanted)
    if find_here("shell") is None:
        return found
    if "matplotlib_inline.config" in sys.modules:
        backend = _inline()
        found |= {name: _plain(getattr(backend, name)) for name in _OF_FIGURES}
    else:
        found |= {name: value for name, value in _configured().items() if _configured_before.get(name) != value}
    if _INLINE in sys.modules:
        found["inline"] = True
        settings = sys.modules["matplotlib"].rcParams
        found["interactive"] = bool(dict.get(settings, "interactive"))
        if (called := dict.get(settings, "backend")) in _OF_INLINE:
            found["called"] = called
    if (library := sys.modules.get("matplotlib")) is not None:
        backend = dict.get(library.rcParams, "backend")
        if isinstance(backend, str) and backend.lower() in _SILENT:
            found["backend"] = backend
        else:
            found.pop("backend", None)
    return found


def _plain(value: Any) -> Any:
    """Settings as values that compare and pickle: what traitlets makes of them has their owner inside."""
    if isinstance(value, dict):
        return dict(value)
    return set(value) if isinstance(value, set | frozenset) else value


def set_figures(value: dict[str, Any]) -> None:
    """Draw them so from now on."""
    if find_here("shell") is None:
        return
    _wanted.clear()
    _wanted.update(value)
    _configured_before.clear()
    _configured_before.update(_configured())
    if not _wanted.keys().isdisjoint(_OF_FIGURES):
        _when_imported("matplotlib_inline.config", _set_up)
    if "inline" in value:  # a figure that is unpickled must not bring less with it than one that was drawn here
        _when_imported("matplotlib.figure", _have_inline)
    if "backend" in value:
        _when_imported("matplotlib", _use_backend)
    if "interactive" in value:  # after the backend, which sets it, too
        _when_imported("matplotlib.figure", _set_parameters)


def _when_imported(module: str, call: Callable[[Any], object]) -> None:
    if module in sys.modules:
        call(None)
    else:
        _when_imported_whole(module, call)


def _when_imported_whole(module: str, call: Callable[[Any], object]) -> None:
    """Also where that is under way."""
    if module not in _hooked:
        _hooked.add(module)
        wrapt.register_post_import_hook(call, module)


def _have_inline(_: Any) -> None:
    pyplot: Any = importlib.import_module("matplotlib.pyplot")
    if not hasattr(pyplot, "switch_backend"):  # it is itself being imported
        _when_imported_whole("matplotlib.pyplot", _have_inline)
    elif _INLINE not in sys.modules:
        pyplot.switch_backend(f"module://{_INLINE}")


def _set_parameters(_: Any) -> None:
    """Those that are no settings of style: whether what is drawn is shown, and what the backend is called."""
    settings: Any = sys.modules["matplotlib"].rcParams
    if "interactive" in _wanted:
        dict.__setitem__(settings, "interactive", _wanted["interactive"])
    if "called" in _wanted and dict.get(settings, "backend") in _OF_INLINE:
        dict.__setitem__(settings, "backend", _wanted["called"])


def _use_backend(_: Any) -> None:
    library: Any = sys.modules["matplotlib"]
    if "backend" in _wanted and dict.get(library.rcParams, "backend") != _wanted["backend"]:
        library.use(_wanted["backend"])


def _set_up(_: Any) -> None:
    backend = _inline()
    for name in _OF_FIGURES:
        if name in _wanted and _plain(getattr(backend, name)) != _wanted[name]:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it is not the notebook that does this
                setattr(backend, name, _wanted[name])
