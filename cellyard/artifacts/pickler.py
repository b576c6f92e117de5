"""Pickling of one alias group: buffers leave the pickle, definitions leave it as tokens.

Protocol 5. Buffers of :data:`BUFFER_BYTES` or more are handed to ``buffer_callback``; smaller ones stay inside.
"""

from __future__ import annotations

import argparse
import functools
import io
import logging
import pickle
import sys
import threading
import types
from collections.abc import Callable
from typing import Any

import cloudpickle

from cellyard.artifacts.arrow import column_reduce
from cellyard.artifacts.deep import dumped
from cellyard.artifacts.definitions import (
    class_reduce,
    function_reduce,
    is_definition,
    is_empty_cell,
    registry,
    resolve,
)
from cellyard.artifacts.documents import document_reduce
from cellyard.artifacts.drawn import drawn_reduce
from cellyard.artifacts.exceptions import exception_reduce
from cellyard.artifacts.formulas import formula_reduce
from cellyard.artifacts.frames import frame_reduce
from cellyard.artifacts.handlers import formatter_reduce, handler_reduce, logger_reduce
from cellyard.artifacts.instances import Way, array_of_reduce, form_reduce, instance_reduce, way_of
from cellyard.artifacts.interpreter import OF_INTERPRETER, find_match, type_variable
from cellyard.artifacts.kinds import package_of
from cellyard.artifacts.members import class_around, find_member, member_of, reference_to
from cellyard.artifacts.memoised import memoised_reduce, rebuild_memoised
from cellyard.artifacts.memory import (
    is_form,
    owner_of,
    place_in,
    read_only,
    rebuild_array,
    rebuild_objects_view,
    rebuild_times,
    rebuild_view,
)
from cellyard.artifacts.named import ufunc_reduce
from cellyard.artifacts.nans import objects_reduce
from cellyard.artifacts.patches import original_reduce
from cellyard.artifacts.process_objects import find_here, is_of_process, may_be_of_process, place_here
from cellyard.artifacts.sharing import LOOP_BOUND
from cellyard.artifacts.standard import argument_reduce, local_reduce, without_loop
from cellyard.artifacts.submodules import package_reduce
from cellyard.artifacts.tensors import reduce_of_torch
from cellyard.artifacts.tracebacks import cell_files, rebuild_traceback, traceback_frames
from cellyard.artifacts.views import exporter_of, place_over, rebuild_over

__all__ = ["BUFFER_BYTES", "Packer", "find_match", "is_packable", "rebuild_array", "rebuild_times", "rebuild_view"]

BUFFER_BYTES = 64 << 10
_Pickler: Any = cloudpickle.Pickler  # it has no annotations of its own
cp: Any = cloudpickle.cloudpickle
_FILE = 10
"""The place of the file's name among what a code object is made of, from Python 3.11 on."""


class Packer(_Pickler):  # type: ignore[misc]
    """A pickler for values of one namespace.

    ``shared_bases``: ids of arrays whose views must keep sharing their memory. After :meth:`dump`, ``buffers`` holds
    what left the pickle, ``tokens`` the definitions it refers to (token -> live object), ``modules`` the top-level
    modules that loading it imports, ``files`` where the notebook's functions in it say they come from,
    ``functions`` those of them that are part of the pickle.
    ``met_views``: several arrays showed the memory of one. ``has_nans``: what it made is for
    :func:`~cellyard.artifacts.nans.loads_with_nans`.
    """

    has_nans = False

    def __init__(
        self, namespace: dict[str, Any], *, shared_bases: frozenset[int] = frozenset(), defining: Any = None
    ) -> None:
        self.file = io.BytesIO()
        self.buffers: list[pickle.PickleBuffer] = []
        self.tokens: dict[str, Any] = {}
        self.modules: set[str] = set()
        self.files: set[str] = set()
        self.functions: list[types.FunctionType] = []
        self._namespace = namespace
        self.met_views = False
        self._bases = shared_bases
        self._owners: set[int] = set()
        self._defining = defining
        self._filled: set[int] = set()
        self._homes: dict[int, type] = {}
        self._families: dict[type, Callable[[Any], Any] | None] = {}
        self._ways: dict[type, Way | None] = {}  # of this moment: the notebook may change its classes
        super().__init__(self.file, protocol=5, buffer_callback=functools.partial(_keeps_small, self.buffers))

    def reducer_override(self, obj: Any) -> Any:
        kind = type(obj)
        rule = _REDUCERS.get(kind)
        if rule is not None:
            return rule(self, obj)
        if isinstance(obj, type):
            return self._reduce_class(obj)
        if kind.__module__ == "numpy" and kind.__name__ == "ndarray":
            return self._reduce_array(obj)
        if may_be_of_process(kind) and (place := place_here(obj)) is not None:
            return find_here, (place,)
        if kind not in self._families:
            self._families[kind] = next((reduce for each, reduce in _FAMILIES.items() if issubclass(kind, each)), None)
        family = self._families[kind]
        reduced = self._reduce_of_library(obj, kind) if family is None else family(obj)
        return self._reduce_instance(obj, kind) if reduced is NotImplemented else reduced

    def _reduce_of_library(self, obj: Any, kind: type) -> Any:
        if kind.__module__ in LOOP_BOUND:
            return without_loop(obj)
        reduced = NotImplemented
        if is_form(kind) and not obj.dtype.hasobject:
            reduced = form_reduce(obj, is_shared=id(self._met_owner(obj)) in self._bases)
        elif hasattr(kind, "__array_finalize__") or kind.__name__ == "ufunc":
            reduced = _reduce_of_numpy(obj, kind)
        elif is_definition(kind) or package_of(kind) == "pandas":
            reduced = frame_reduce(obj, kind, self._is_packable)
        elif package_of(kind) == "statsmodels":
            reduced = formula_reduce(obj, kind, self._namespace, self._is_packable)
        for reduce in (reduce_of_torch, column_reduce, drawn_reduce, document_reduce):
            reduced = reduce(obj, kind) if reduced is NotImplemented else reduced
        return reference_to(obj, kind) if reduced is NotImplemented else reduced

    def _reduce_instance(self, obj: Any, kind: type) -> Any:
        if kind not in self._ways:
            self._ways[kind] = way_of(kind)
        way = self._ways[kind]
        return NotImplemented if way is None else instance_reduce(obj, way)

    def _reduce_class(self, obj: type) -> Any:
        if is_definition(obj):
            return self._reduce_definition(obj, class_reduce)
        self.modules.add(package_of(obj))
        original = original_reduce(obj)
        return super().reducer_override(obj) if original is NotImplemented else original

    def _reduce_function(self, obj: types.FunctionType) -> Any:
        if obj.__globals__ is self._namespace:
            self.files.add(obj.__code__.co_filename)
            if is_definition(obj):
                return self._reduce_definition(obj, self._function_in_full)
            self.functions.append(obj)
            # Of definitions that are loaded now, classes may not have all their functions yet.
            if self._defining is None:
                member = member_of(self._homes.get(id(obj)) or class_around(obj, self._namespace), obj)
                if member is not None:
                    return find_member, member
            return function_reduce(obj, None, self._filled)
        if (original := original_reduce(obj)) is not NotImplemented:
            return original
        home = obj.__globals__.get("__name__")
        if _is_module(home, obj.__globals__) and not cp._should_pickle_by_reference(obj):
            self.modules.add(str(home).partition(".")[0])
            return function_reduce(obj, None, self._filled, module=home)
        if obj.__module__:
            self.modules.add(obj.__module__.partition(".")[0])
        return super().reducer_override(obj)

    def _reduce_method(self, obj: types.MethodType) -> Any:
        """Its function is found by its class, which need not be the one that now has its name."""
        held = obj.__self__
        if is_of_process(type(held)):
            if (place := place_here(obj)) is not None:
                return find_here, (place,)
            if place_here(held) is not None:  # of another class in the process where it goes to
                return getattr, (held, obj.__name__)
        for each in held.__mro__ if isinstance(held, type) else type(held).__mro__:
            if is_definition(each) and member_of(each, obj.__func__) is not None:
                self._homes[id(obj.__func__)] = each
                break
        return types.MethodType, (obj.__func__, held)

    def _reduce_definition(self, obj: Any, in_full: Callable[[Any, str], tuple[Any, ...]]) -> Any:
        token = registry.token(obj)
        if obj is self._defining:
            return in_full(obj, token)
        self.tokens[token] = obj
        return resolve, (token,)

    def _function_in_full(self, obj: Any, token: str) -> tuple[Any, ...]:
        return function_reduce(obj, token, self._filled)

    def _reduce_cell(self, obj: types.CellType) -> Any:
        """Only the cell where its contents follow in the state of the first function that has it, because they may
        lead back to that function."""
        if id(obj) in self._filled or is_empty_cell(obj):
            return _empty_cell, ()
        self._filled.add(id(obj))
        return _empty_cell, (), obj.cell_contents, None, None, _fill_cell

    def _reduce_code(self, obj: types.CodeType) -> Any:
        """With the file that tracebacks name: cloudpickle leaves it out, from 3.1.3 on. A copy of its name, as of other
        parts, so that the bytes do not depend on which code objects share one."""
        made, arguments = cp._code_reduce(obj)
        return made, (*arguments[:_FILE], "".join(obj.co_filename), *arguments[_FILE + 1 :])

    def _reduce_module(self, obj: types.ModuleType) -> Any:
        self.modules.add(obj.__name__.partition(".")[0])
        reduced = package_reduce(obj)
        return super().reducer_override(obj) if reduced is NotImplemented else reduced

    def _reduce_memoised(self, obj: Any) -> Any:
        return memoised_reduce(obj, self._is_packable)

    def _is_packable(self, value: Any) -> bool:
        return is_packable(value, self._namespace)

    def _reduce_traceback(self, obj: types.TracebackType) -> Any:
        places = traceback_frames(obj, self._namespace)
        self.files.update(cell_files(places))
        return rebuild_traceback, (places,)

    def _refuse_file(self, obj: io.TextIOWrapper) -> Any:
        """cloudpickle would read an open file to its end and pass a copy of the text."""
        raise pickle.PicklingError(f"cannot pickle the open file {obj.name!r}")

    def _reduce_array(self, obj: Any) -> Any:
        owner = self._met_owner(obj)
        if obj.dtype.hasobject:
            is_view = owner is not obj and id(owner) in self._bases and obj.dtype == owner.dtype == object
            return (rebuild_objects_view, (owner, *place_in(owner, obj))) if is_view else objects_reduce(obj)
        if owner is obj or id(owner) not in self._bases:
            exporter = None if owner.base is None else exporter_of(owner.base)
            if exporter is not None and id(exporter) in self._bases:
                return rebuild_over, (exporter, *place_over(exporter, obj))
        # What shows the same memory several times over is larger than that.
        if owner is obj or (id(owner) not in self._bases and obj.nbytes <= owner.nbytes):
            return self._reduce_memory(obj)
        return rebuild_view, (owner, *place_in(owner, obj))

    def _met_owner(self, array: Any) -> Any:
        """The array whose memory this one shows; from now on another one of it is a view of the same."""
        owner = owner_of(array)
        self.met_views |= id(owner) in self._owners or (owner.base is not None and exporter_of(owner.base) is not None)
        self._owners.add(id(owner))
        return owner

    def _reduce_memory(self, obj: Any) -> Any:
        """A small array will own its memory, a large one lies over its buffer: what numpy itself makes of a pickle is a
        view of another array. Dates and times leave the pickle as integers: numpy gives no buffer of them away.
        """
        if obj.nbytes < BUFFER_BYTES and obj.flags.writeable and obj.dtype.isnative:
            return obj.__reduce__()
        if not obj.flags.forc:
            return NotImplemented if obj.flags.writeable else (read_only, (obj.copy(),))
        if obj.dtype.kind in "mM":
            return rebuild_times, (obj.view("i8"), obj.dtype)
        if obj.dtype.kind not in "biufc":
            return NotImplemented
        order = "C" if obj.flags.c_contiguous else "F"
        made = (type(obj), pickle.PickleBuffer(obj), obj.dtype, obj.shape, (order, obj.flags.writeable))
        return rebuild_array, made


def _alone(reduce: Callable[[Any], Any]) -> Callable[[Packer, Any], Any]:
    return lambda _, obj: reduce(obj)


_REDUCERS: dict[type, Callable[[Packer, Any], Any]] = {
    types.FunctionType: Packer._reduce_function,
    types.BuiltinFunctionType: lambda _, obj: original_reduce(obj),
    types.CodeType: Packer._reduce_code,
    logging.Formatter: lambda _, obj: formatter_reduce(obj),
    types.CellType: Packer._reduce_cell,
    types.TracebackType: Packer._reduce_traceback,
    types.MethodType: Packer._reduce_method,
    types.ModuleType: Packer._reduce_module,
    io.TextIOWrapper: Packer._refuse_file,
    functools._lru_cache_wrapper: Packer._reduce_memoised,
    **{kind: _alone(reduce) for kind, reduce in OF_INTERPRETER.items()},
}


def _keeps_small(large: list[pickle.PickleBuffer], buffer: pickle.PickleBuffer) -> bool:
    """Not a method of the pickler, which would then be a part of itself, and go on holding what it has packed."""
    if buffer.raw().nbytes < BUFFER_BYTES:
        return True
    large.append(buffer)
    return False


def is_packable(value: Any, namespace: dict[str, Any]) -> bool:
    """Whether a value of that namespace pickles."""
    try:
        dumped(lambda: Packer(namespace), value)
    except Exception:  # noqa: BLE001 - any failure is the answer
        return False
    return True


#: Reductions of all whose class descends from one.
_FAMILIES: dict[type, Callable[[Any], Any]] = {
    BaseException: exception_reduce,
    threading.local: local_reduce,
    logging.Handler: handler_reduce,
    logging.Logger: logger_reduce,
    argparse.Action: argument_reduce,
    argparse._ActionsContainer: argument_reduce,
}


def _is_module(name: Any, names: dict[str, Any]) -> bool:
    found = sys.modules.get(name) if name != "__main__" else None
    return found is not None and vars(found) is names


def _reduce_of_numpy(obj: Any, kind: type) -> Any:
    if is_definition(kind):
        return array_of_reduce(obj, kind)
    if kind.__module__ != "numpy":
        return NotImplemented
    if kind.__name__ == "memmap":
        from cellyard.artifacts.memmaps import memmap_reduce

        return memmap_reduce(obj)
    return ufunc_reduce(obj) if kind.__name__ == "ufunc" else NotImplemented


def _empty_cell() -> types.CellType:
    return types.CellType()


def _fill_cell(cell: types.CellType, contents: Any) -> None:
    cell.cell_contents = contents


#: By these names artifacts of earlier versions have them.
_rebuild_cached, _read_only, _type_variable = rebuild_memoised, read_only, type_variable
