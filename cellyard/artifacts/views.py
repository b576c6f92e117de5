"""What shows another object: views of a dictionary, memoryviews, and arrays over a ``bytearray``. Each goes on showing
that object where it arrives; pickled as Python would have it, it is a copy.
"""

from __future__ import annotations

import array
import ctypes
import gc
import sys
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

__all__ = ["OF_VIEWS", "address_of", "exporter_of", "place_over", "rebuild_over"]

_SIMPLE = 0  # PyBUF_SIMPLE
_CAST = set("bBhHiIlLqQnNfdc?")
_CHANGING = (bytearray, array.array)


def _items_reduce(view: Any) -> Any:
    [mapping] = gc.get_referents(view)
    return rebuild_view_of, (mapping, type(view).__name__.rpartition("_")[2])


def rebuild_view_of(mapping: Any, what: str) -> Any:
    """Its keys, values or items, also where it is of a class that has others."""
    return getattr(OrderedDict if isinstance(mapping, OrderedDict) else dict, what)(mapping)


class _Buffer(ctypes.Structure):
    """The beginning of a ``Py_buffer``, and room for the rest."""

    _fields_ = (("address", ctypes.c_void_p), ("rest", ctypes.c_void_p * 15))


def address_of(exporter: Any) -> int:
    """Where the memory of an object begins."""
    found = _Buffer()
    ctypes.pythonapi.PyObject_GetBuffer(ctypes.py_object(exporter), ctypes.byref(found), _SIMPLE)
    ctypes.pythonapi.PyBuffer_Release(ctypes.byref(found))
    return found.address or 0


def _memoryview_reduce(view: memoryview) -> Any:
    shown: Any = view.obj
    numpy = sys.modules.get("numpy")
    of_array = numpy is not None and type(shown) is numpy.ndarray and shown.flags.c_contiguous
    if not view.nbytes or not view.c_contiguous or not (of_array or type(shown) in {bytes, *_CHANGING}):
        return NotImplemented
    offset, form = address_of(view) - address_of(shown), (view.format, view.shape, view.readonly)
    if view.format not in _CAST and (offset, view.nbytes) != (0, memoryview(shown).nbytes):
        return NotImplemented
    return rebuild_memoryview, (shown, offset, view.nbytes, form)


def rebuild_memoryview(exporter: Any, offset: int, size: int, form: tuple[str, Any, bool]) -> memoryview:
    """A view of so many bytes of the object."""
    kind, shape, is_readonly = form
    view: Any = memoryview(exporter)
    if (offset, size) != (0, view.nbytes) or (view.format, view.shape) != (kind, shape):
        view = view.cast("B")[offset : offset + size]
        view = view if (kind, len(shape)) == ("B", 1) else view.cast(kind, shape)
    return view.toreadonly() if is_readonly else view  # type: ignore[no-any-return]


def exporter_of(base: Any) -> Any:
    """The object that changes by itself whose memory an array has as its base, or None."""
    if type(base) is memoryview:
        base = base.obj
    return base if type(base) in _CHANGING else None


def place_over(exporter: Any, array_over: Any) -> tuple[Any, ...]:
    """Where and how an array shows that memory: what :func:`rebuild_over` needs beside it."""
    offset = array_over.__array_interface__["data"][0] - address_of(exporter)
    return offset, array_over.shape, array_over.strides, (array_over.dtype, array_over.flags.writeable)


def rebuild_over(exporter: Any, offset: int, shape: Any, strides: Any, kind: tuple[Any, bool]) -> Any:
    """An array over the memory of a ``bytearray`` or an ``array``."""
    import numpy as np

    dtype, writeable = kind
    made = np.ndarray(shape, dtype=dtype, buffer=exporter, offset=offset, strides=strides)
    made.flags.writeable = writeable
    return made


def _kinds() -> dict[Any, Callable[[Any], Any]]:
    ordered: Any = OrderedDict()
    mappings: tuple[Any, ...] = ({}, ordered)
    views = (type(each) for one in mappings for each in (one.keys(), one.values(), one.items()))
    return {**dict.fromkeys(views, _items_reduce), memoryview: _memoryview_reduce}


#: Reductions by type.
OF_VIEWS = _kinds()
