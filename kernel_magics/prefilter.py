"""Keeps IPython's own look at single-line cells from fetching what they name."""

from __future__ import annotations

from typing import Any

from IPython.core.prefilter import PrefilterChecker
from traitlets import Integer

from kernel_magics.stand_ins import is_stand_in

__all__ = ["StandInChecker"]


class StandInChecker(PrefilterChecker):
    """A line that begins with the name of a stand-in is plain Python.

    Without it IPython asks the object whether it is a macro, which fetches it, even where the line only binds the name
    anew; and where the fetch fails, the cell does not run.
    """

    priority = Integer(50)

    def __init__(self, shell: Any) -> None:
        """Registers itself, as every checker of IPython does."""
        super().__init__(shell=shell, prefilter_manager=shell.prefilter_manager)  # type: ignore[no-untyped-call]
        self._names: dict[str, Any] = shell.user_ns
        self._plain = shell.prefilter_manager.get_handler_by_name("normal")

    def check(self, line_info: Any) -> Any:
        """The handler of plain Python for such a line, else None."""
        return self._plain if is_stand_in(self._names.get(line_info.ifun)) else None
