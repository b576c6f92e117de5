"""Values as plain JSON, so that those of two kernels can be compared. Runs inside the kernels."""

from __future__ import annotations

import hashlib
import itertools
import types
from collections.abc import Mapping
from typing import Any

__all__ = ["describe", "sharing"]

Seen = tuple[int, ...]


def describe(value: Any, seen: Seen = ()) -> Any:
    """What a value is, as JSON: equal for equal values, exact to the last bit, the same in every process."""
    if id(value) in seen:
        return f"<level {seen.index(id(value))} again>"
    seen = (*seen, id(value))
    kind = type(value)
    if value is None or kind in (bool, int, float, complex, str, bytes):
        return repr(value)
    if kind in (list, tuple):
        return [kind.__name__, *(describe(each, seen) for each in value)]
    if kind in (set, frozenset):
        return [kind.__name__, *sorted(str(describe(each, seen)) for each in value)]
    if isinstance(value, Mapping):
        return [kind.__name__, *([describe(key, seen), describe(value[key], seen)] for key in value)]
    if isinstance(value, types.FunctionType | type | types.ModuleType | types.BuiltinFunctionType):
        return f"{kind.__name__} {getattr(value, '__qualname__', value.__name__)} of {getattr(value, '__module__', '')}"
    return _of_a_library(value, seen)


def _of_a_library(value: Any, seen: Seen) -> Any:
    import numpy as np
    import pandas as pd

    name = f"{type(value).__module__}.{type(value).__qualname__}"
    if isinstance(value, np.ndarray):
        parts = [describe(each, seen) for each in value.ravel()] if value.dtype.hasobject else _digest(value)
        return [name, str(value.dtype), list(value.shape), parts]
    if isinstance(value, np.generic):
        return [name, repr(value)]
    if isinstance(value, pd.DataFrame):
        columns = [describe(value.iloc[:, i], seen) for i in range(value.shape[1])]
        return [name, describe(value.columns, seen), describe(value.index, seen), columns]
    if isinstance(value, pd.Series):
        return [name, repr(value.name), str(value.dtype), describe(value.index, seen), _each(value.array)]
    if isinstance(value, pd.Index):
        return [name, repr(list(value.names)), str(value.dtype), _each(value)]
    if isinstance(value, np.random.Generator):
        return [name, describe(value.bit_generator.state, seen)]
    if type(value).__module__.startswith("matplotlib"):
        return name  # its picture is compared, to the last byte
    return [name, describe(vars(value), seen)] if hasattr(value, "__dict__") else [name, repr(value)]


def _digest(array: Any) -> str:
    return hashlib.sha256(array.tobytes()).hexdigest()


def _each(values: Any) -> str:
    return hashlib.sha256(repr([repr(each) for each in values]).encode()).hexdigest()


def sharing(values: Mapping[str, Any]) -> list[list[str]]:
    """The pairs of names that are one object, or arrays that share memory."""
    import numpy as np

    plain = (bool, int, float, str, bytes, type(None))
    objects = {name: value for name, value in values.items() if not isinstance(value, plain)}
    return [
        [one, other]
        for (one, first), (other, second) in itertools.combinations(sorted(objects.items()), 2)
        if first is second
        or (isinstance(first, np.ndarray) and isinstance(second, np.ndarray) and np.shares_memory(first, second))
    ]
