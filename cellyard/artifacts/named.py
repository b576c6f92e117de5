"""What Python and numpy pickle by a name in the notebook's module: special forms of types, universal functions.

They travel by what they are made of. The same one comes back to a process that has it.
"""

from __future__ import annotations

import gc
import typing
from typing import Any

import cloudpickle.cloudpickle

__all__ = ["named_type_reduce", "rebuild_named_type", "rebuild_ufunc", "ufunc_reduce"]

cp: Any = cloudpickle.cloudpickle  # it has no annotations of its own


def named_type_reduce(obj: Any) -> Any:
    """The reduction of a ParamSpec, TypeVarTuple or NewType of the notebook, else NotImplemented."""
    if obj.__module__ != "__main__":
        return NotImplemented
    made = (obj.__supertype__,) if isinstance(obj, typing.NewType) else ()
    options = {}
    if isinstance(obj, typing.ParamSpec):
        options = {"bound": obj.__bound__, "covariant": obj.__covariant__, "contravariant": obj.__contravariant__}
    identity = cp._get_or_create_tracker_id(obj)
    return rebuild_named_type, (type(obj), identity, obj.__name__, made, options, getattr(obj, "__qualname__", None))


def rebuild_named_type(
    kind: Any, identity: str, name: str, made: tuple[Any, ...], options: dict[str, Any], qualname: str | None
) -> Any:
    """The one of that identity, made if this process does not have it."""
    found = kind(name, *made, **options)
    found.__module__ = "__main__"
    if qualname is not None:
        found.__qualname__ = qualname
    return cp._lookup_class_or_track(identity, found)


def ufunc_reduce(obj: Any) -> Any:
    """The reduction of a function of the notebook under ``numpy.frompyfunc``, else NotImplemented."""
    functions = [each for each in gc.get_referents(obj) if callable(each) and not isinstance(each, type)]
    if len(functions) != 1 or not obj.__name__.endswith(" (vectorized)"):
        return NotImplemented
    return rebuild_ufunc, (functions[0], obj.nin, obj.nout, obj.identity)


def rebuild_ufunc(function: Any, taken: int, given: int, identity: Any) -> Any:
    """The function made universal again."""
    import numpy

    return numpy.frompyfunc(function, taken, given, identity=identity)
