"""Objects that every process has of its own: the shell, the standard streams, who asks the user, the environment, the
context of decimal, and the generators that modules draw from. A name that is bound to one means that of the process
where it is used.
"""

from __future__ import annotations

import builtins
import decimal
import importlib
import os
import random
import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["find_here", "formatters_here", "is_of_process", "may_be_of_process", "place_here"]

#: By the name of a class in an object's ancestry.
_CLASSES = {"InteractiveShell", "OutStream", "StreamWriter", "Kernel", "Asking", "BaseFormatter", "DisplayFormatter"}
_ROOTS = {"IPython", "ipykernel", "cellyard"}
_known: dict[type, bool] = {}


def _asking() -> Any:
    module = sys.modules.get("getpass")
    return getattr(module, "getpass", None)


def _shell() -> Any:
    module = sys.modules.get("IPython.core.interactiveshell")
    return module.InteractiveShell._instance if module is not None else None


def formatters_here() -> Mapping[str, Any]:
    """What shows values in this process's shell, by MIME type; none where there is no shell."""
    shell = _shell()
    return shell.display_formatter.formatters if shell is not None else {}


_FORMATTER = "formatter of "
_PLACES: dict[str, Callable[[], Any]] = {
    "input": lambda: builtins.input,
    "getpass": _asking,
    "shell": _shell,
    "get_ipython": lambda: getattr(_shell(), "get_ipython", None),
    "stdout": lambda: sys.stdout,
    "stderr": lambda: sys.stderr,
    "formatters": lambda: getattr(_shell(), "display_formatter", None),
    "random": lambda: random._inst,
    "environment": lambda: os.environ,
    "decimal": decimal.getcontext,
    "numpy.random": lambda: vars(sys.modules[_NUMPY])["_rand"] if _NUMPY in sys.modules else None,
}
_NUMPY = "numpy.random.mtrand"
#: Types of which one object is the process's own.
_OF_ONE = {("random", "Random"), (_NUMPY, "RandomState"), ("os", "_Environ"), ("decimal", "Context")}


def is_of_process(kind: type) -> bool:
    """Whether objects of that type are a process's own."""
    known = _known.get(kind)
    if known is None:
        known = _known[kind] = any(
            base.__name__ in _CLASSES and base.__module__.partition(".")[0] in _ROOTS for base in kind.__mro__
        )
    return known


def may_be_of_process(kind: type) -> bool:
    """Whether an object of that type may be one that :func:`place_here` knows."""
    return is_of_process(kind) or (kind.__module__, kind.__name__) in _OF_ONE


def place_here(obj: Any) -> str | None:
    """Where :func:`find_here` finds in another process what this is here; None for anything else."""
    found = next((name for name, find in _PLACES.items() if obj == find()), None)
    if found is not None:
        return found
    return next((f"{_FORMATTER}{mime}" for mime, each in formatters_here().items() if each is obj), None)


def find_here(place: str) -> Any:
    """This process's own."""
    if place == "getpass":
        import getpass

        return getpass.getpass
    if place.startswith(_FORMATTER):
        return formatters_here()[place.removeprefix(_FORMATTER)]
    if place == "numpy.random":
        importlib.import_module(_NUMPY)
    return _PLACES[place]()
