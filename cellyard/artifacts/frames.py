"""Frames and series of pandas with attributes that the notebook has set on them; pandas itself leaves these behind."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

__all__ = ["frame_reduce"]


def frame_reduce(obj: Any, kind: Any, is_packable: Callable[[Any], bool]) -> Any:
    """The reduction of a frame or series that has such attributes, else NotImplemented. Those that are not packable
    stay behind: libraries put there what they know that pandas leaves (patsy, how a matrix came about)."""
    if not hasattr(kind, "_metadata") or not hasattr(kind, "_accessors"):
        return NotImplemented
    own = {name: value for name, value in vars(obj).items() if not _is_of_pandas(kind, name) and is_packable(value)}
    if not own:
        return NotImplemented
    make, arguments, state, *_ = obj.__reduce_ex__(5)
    return make, arguments, (state, own), None, None, _complete


def _is_of_pandas(kind: Any, name: str) -> bool:
    """Its own parts have names with an underscore, those of a subclass are listed, accessors are made when used."""
    return name.startswith("_") or name in kind._metadata or name in kind._accessors


def _complete(obj: Any, state: tuple[Any, dict[str, Any]]) -> None:
    of_pandas, own = state
    obj.__setstate__(of_pandas)
    vars(obj).update(own)
