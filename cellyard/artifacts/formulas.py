"""Models of statsmodels that were made by a formula: their data is pickled without what the formula means, and reads it
again where it arrives. By then the names of the notebook that it uses must be there.
"""

from __future__ import annotations

import re
import types
import weakref
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["formula_reduce"]

_read_with: weakref.WeakKeyDictionary[Any, dict[str, Any]] = weakref.WeakKeyDictionary()
"""By such data: the names that its formula was read with here, which need not be names of a step that has it."""
_NAME = re.compile(r"(?<![\w.])[^\W\d]\w*")
_DEEP = 5
"""Frames above its own in which statsmodels looks for names."""


def formula_reduce(obj: Any, kind: type, namespace: Mapping[str, Any], is_packable: Callable[[Any], bool]) -> Any:
    """The reduction of such data whose formula uses names of the notebook, else NotImplemented."""
    formula = vars(obj).get("formula") if kind.__module__ == "statsmodels.base.data" else None
    if not isinstance(formula, str):
        return NotImplemented
    used = set(_NAME.findall(formula)).difference(getattr(vars(obj).get("frame"), "columns", ()))
    known = {**_read_with.get(obj, {}), **namespace}
    names = {name: known[name] for name in sorted(used & known.keys()) if is_packable(known[name])}
    return (_new, (kind,), (obj.__getstate__(), names), None, None, _read_again) if names else NotImplemented


def _new(kind: type) -> Any:
    return object.__new__(kind)


def _read_again(obj: Any, state: tuple[dict[str, Any], dict[str, Any]]) -> None:
    of_library, names = state
    _read_with[obj] = names
    among_names: Any = types.FunctionType(_deep.__code__, {"_deep": None, **names})
    among_names.__globals__["_deep"] = among_names
    among_names(obj.__setstate__, of_library, _DEEP)


def _deep(call: Any, state: Any, frames: int) -> None:
    """Calls from so many frames that have the notebook's names as their globals."""
    if frames:
        _deep(call, state, frames - 1)
    else:
        call(state)
