"""Objects that every process has of its own: the shell, the standard streams, and who asks the user. A name that is
bound to one means that of the process where it is used.
"""

from __future__ import annotations

import builtins
import sys
from collections.abc import Callable
from typing import Any

__all__ = ["find_here", "is_of_process", "place_here"]

#: By the name of a class in an object's ancestry.
_CLASSES = {"InteractiveShell", "OutStream", "StreamWriter", "Kernel", "Asking"}
_ROOTS = {"IPython", "ipykernel", "cellyard"}
_known: dict[type, bool] = {}


def _asking() -> Any:
    module = sys.modules.get("getpass")
    return getattr(module, "getpass", None)


def _shell() -> Any:
    module = sys.modules.get("IPython.core.interactiveshell")
    return module.InteractiveShell._instance if module is not None else None


_PLACES: dict[str, Callable[[], Any]] = {
    "input": lambda: builtins.input,
    "getpass": _asking,
    "shell": _shell,
    "get_ipython": lambda: getattr(_shell(), "get_ipython", None),
    "stdout": lambda: sys.stdout,
    "stderr": lambda: sys.stderr,
}


def is_of_process(kind: type) -> bool:
    """Whether objects of that type are a process's own."""
    known = _known.get(kind)
    if known is None:
        known = _known[kind] = any(
            base.__name__ in _CLASSES and base.__module__.partition(".")[0] in _ROOTS for base in kind.__mro__
        )
    return known


def place_here(obj: Any) -> str | None:
    """Where :func:`find_here` finds in another process what this is here; None for anything else."""
    return next((name for name, find in _PLACES.items() if find() == obj), None)


def find_here(place: str) -> Any:
    """This process's own."""
    if place == "getpass":
        import getpass

        return getpass.getpass
    return _PLACES[place]()
