"""Imports without a part that they can do without."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator

__all__ = ["IRI_GRAMMARS", "passing_over"]

IRI_GRAMMARS = "rfc3987_syntax"
"""What jsonschema, and so nbformat, imports to check the format "iri", which notebooks do not have: with it come
forty grammars, made anew in every process in more time than all else that a run imports."""


@contextlib.contextmanager
def passing_over(module: str) -> Iterator[None]:
    """Within the block the module is as one that is not installed, unless it was imported before."""
    if module in sys.modules:
        yield
        return
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
