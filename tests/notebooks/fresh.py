"""A kernel made as new between two notebooks: names, and the process state that notebooks set. Runs inside kernels."""

from __future__ import annotations

import contextlib
import decimal
import gc
import logging
import os
import random
import sys
import warnings
from typing import Any

__all__ = ["names", "remember", "restore"]

_kept: list[Fresh] = []


def remember(shell: Any) -> None:
    """Remember the kernel as it is now. Nothing of this is in its namespace, where cells would find it."""
    _kept[:] = [Fresh(shell)]


def restore() -> None:
    """Make it so again."""
    _kept[0].restore()


def names() -> list[str]:
    """What the notebook has bound since, and what IPython keeps of its values."""
    return _kept[0].names()


class Fresh:
    """Remembers a kernel as it is now, and makes it so again."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._names = set(shell.user_ns)
        self._folder = os.getcwd()  # noqa: PTH109
        self._environment = dict(os.environ)
        self._path = list(sys.path)
        self._filters = list(warnings.filters)
        self._flags = shell.compile.flags

    def names(self) -> list[str]:
        found = [name for name in self._shell.user_ns if name not in self._names and not _is_of_ipython(name)]
        return [*found, "_", "__", "___", "Out"]

    def restore(self) -> None:
        """Back to what it was."""
        self._shell.ast_node_interactivity = "last_expr"
        self._shell.run_line_magic("precision", "")
        self._shell.InteractiveTB.set_mode(mode="Context")
        space = self._shell.user_ns
        for name in set(space) - self._names:
            del space[name]
        space["Out"].clear()
        self._shell.compile.flags = self._flags  # what `from __future__` has switched on
        unders = ("_", "__", "___")
        for name in unders:
            setattr(self._shell.displayhook, name, "")
        self._shell.push(dict.fromkeys(unders, ""), interactive=False)
        os.chdir(self._folder)
        os.environ.clear()
        os.environ.update(self._environment)
        sys.path[:] = self._path
        warnings.filters[:] = self._filters  # type: ignore[index]
        warnings._filters_mutated()  # type: ignore[attr-defined]
        decimal.setcontext(decimal.Context(prec=28))
        logging.root.setLevel(logging.WARNING)
        logging.root.handlers.clear()
        random.seed(0)
        self._restore_libraries()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of coroutines that nobody has awaited: it is of the notebook before
            gc.collect()

    def _restore_libraries(self) -> None:
        if (numpy := sys.modules.get("numpy")) and "numpy.random" in sys.modules:
            numpy.random.seed(0)
            numpy.set_printoptions(precision=8, suppress=False, threshold=1000, linewidth=75)
        if pandas := sys.modules.get("pandas"):
            with warnings.catch_warnings(), contextlib.suppress(AttributeError):
                warnings.simplefilter("ignore")
                pandas.reset_option("all")
        if torch := sys.modules.get("torch"):
            torch.manual_seed(0)
            torch.set_default_dtype(torch.float32)
            torch.set_grad_enabled(True)
            torch.utils.hooks.RemovableHandle.next_id = 0
            torch.set_printoptions(profile="default")
        if pyplot := sys.modules.get("matplotlib.pyplot"):
            pyplot.close("all")
            pyplot.rcdefaults()
            self._shell.run_line_magic("matplotlib", "inline")


def _is_of_ipython(name: str) -> bool:
    return name in {"_i", "_ii", "_iii", "__warningregistry__"} or (name.startswith("_") and name.strip("_i").isdigit())
