"""Magics that a kernel has beside those of IPython: files and manuals, shown beside the notebook; and those that only
the notebook's own kernel can carry out, which say so.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import IPython.core.magic
import IPython.core.page
from IPython.core.error import UsageError

__all__ = ["PagerMagics"]

_magic: Any = IPython.core.magic  # its decorators have no annotations
_line_magic: Callable[[Any], Any] = _magic.line_magic


@_magic.magics_class
class PagerMagics(_magic.Magics):  # type: ignore[misc]
    """``%less``, ``%more``, ``%man`` and ``%clear``."""

    @_line_magic
    def less(self, line: str) -> None:
        """Show a file; a Python file in colours."""
        if not line:
            raise UsageError("Missing filename.")
        text = Path(line).read_text(encoding="utf-8")
        IPython.core.page.page(self.shell.pycolorize(text) if line.endswith(".py") else text)

    more = _magic.line_magic("more")(less)

    @_line_magic
    def man(self, line: str) -> None:
        """Show the manual of a command."""
        IPython.core.page.page(self.shell.getoutput(f"man {line} | col -b", split=False))

    @_line_magic
    def steps(self, line: str, cell: str | None = None) -> None:
        """Not here."""
        raise UsageError("this is for the notebook's own kernel: say it in a cell without %%step")

    autosave = _magic.line_magic("autosave")(steps)
    connect_info = _magic.line_magic("connect_info")(steps)
    qtconsole = _magic.line_magic("qtconsole")(steps)
    subshell = _magic.line_magic("subshell")(steps)
    step = _magic.cell_magic("step")(steps)

    @_line_magic
    def clear(self, line: str) -> None:
        """Clear the terminal."""
        self.shell.system("clear")
