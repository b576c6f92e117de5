"""Figures that arrive are not figures that a cell draws: what is unpickled must not be shown below it for that."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import Any

__all__ = ["not_drawn"]

_INLINE = "matplotlib_inline.backend_inline"


@contextlib.contextmanager
def not_drawn() -> Iterator[None]:
    """An open figure that is unpickled is known to pyplot; what is to be shown at the cell's end stays as it was."""
    before = _to_show()
    try:
        yield
    finally:
        module: Any = sys.modules.get(_INLINE)
        if module is not None and hasattr(module, "show"):
            module.show._to_draw, module.show._draw_called = before


def _to_show() -> tuple[list[Any], bool]:
    show = getattr(sys.modules.get(_INLINE), "show", None)
    return list(getattr(show, "_to_draw", ())), bool(getattr(show, "_draw_called", False))
