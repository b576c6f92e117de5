"""What a user may set in IPython's shell itself, as a part of the process state: captured and applied.

How many of a cell's values are shown, their precision, what an earlier cell has imported from ``__future__``, how
tracebacks look, and the format and size of inline figures.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["capture_figures", "capture_shell", "set_figures", "set_shell"]

_PLAIN_TEXT = ("float_precision", "float_format", "pprint", "max_width", "max_seq_length", "newline", "verbose")
_OF_SHELL = ("ast_node_interactivity", "separate_out", "show_rewritten_input")
_OF_FIGURES = ("figure_formats", "print_figure_kwargs", "rc", "close_figures")


def _shell() -> Any:
    module = sys.modules.get("IPython.core.interactiveshell")
    return module.InteractiveShell._instance if module is not None else None


def capture_shell() -> dict[str, Any]:
    """The settings of this process's shell; empty where there is none."""
    shell = _shell()
    if shell is None:
        return {}
    text = shell.display_formatter.formatters["text/plain"]
    return {
        "shell": {name: getattr(shell, name) for name in _OF_SHELL},
        "text": {name: getattr(text, name) for name in _PLAIN_TEXT},
        "types": list(shell.display_formatter.active_types),
        "flags": shell.compile.flags,
        "mode": shell.InteractiveTB.mode,
    }


def set_shell(value: dict[str, Any]) -> None:
    """Apply them to this process's shell."""
    shell = _shell()
    if shell is None or not value:
        return
    text = shell.display_formatter.formatters["text/plain"]
    for owner, settings in ((shell, value["shell"]), (text, value["text"])):
        for name, setting in settings.items():
            if getattr(owner, name) != setting:
                setattr(owner, name, setting)
    if shell.display_formatter.active_types != value["types"]:
        shell.display_formatter.active_types = value["types"]
    shell.compile.flags = value["flags"]
    if shell.InteractiveTB.mode != value["mode"]:
        shell.InteractiveTB.set_mode(mode=value["mode"])


def _inline() -> Any:
    return sys.modules["matplotlib_inline.config"].InlineBackend.instance(parent=_shell())


def capture_figures() -> dict[str, Any]:
    """How inline figures are drawn."""
    if _shell() is None:
        return {}
    backend = _inline()
    return {name: _plain(getattr(backend, name)) for name in _OF_FIGURES}


def _plain(value: Any) -> Any:
    """Settings as values that compare and pickle: what traitlets makes of them has their owner inside."""
    if isinstance(value, dict):
        return dict(value)
    return set(value) if isinstance(value, set | frozenset) else value


def set_figures(value: dict[str, Any]) -> None:
    """Draw them so from now on."""
    if _shell() is None or not value:
        return
    backend = _inline()
    for name, setting in value.items():
        if _plain(getattr(backend, name)) != setting:
            setattr(backend, name, setting)
