"""Which files are local: those that neither Python nor a registry has given."""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path

__all__ = ["INSTALLED", "is_local"]

INSTALLED = frozenset({"site-packages", "dist-packages"})
"""Names of folders that hold what was installed."""


def is_local(place: str) -> bool:
    """Whether a file or folder is neither below a ``site-packages`` nor in the standard library."""
    path = Path(place)
    if not INSTALLED.isdisjoint(path.parts):
        return False
    return not any(path.is_relative_to(each) for each in _standard_library())


@cache
def _standard_library() -> tuple[str, ...]:
    return sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")
