"""Which array owns the memory that an array shows, where in it that is, and an array made over it."""

from __future__ import annotations

import sys
from typing import Any

__all__ = [
    "is_form",
    "is_masked",
    "masks_of",
    "offset_in",
    "owner_of",
    "place_in",
    "read_only",
    "rebuild_array",
    "rebuild_objects_view",
    "rebuild_times",
    "rebuild_view",
    "root_of",
]


_MASKED = {"MaskedArray", "MaskedRecords"}
_FORMS = {"matrix", "recarray", "chararray", *_MASKED}


def owner_of(array: Any) -> Any:
    """The array that owns the memory of ``array``: itself, or the last array along its bases. Of numpy's own classes
    one may lead to the other."""
    kind = type(array)
    is_plain = kind.__name__ == "ndarray" or is_form(kind)
    while (base := _base_of(array)) is not None and (
        type(base) is kind or (is_plain and (type(base).__name__ == "ndarray" or is_form(type(base))))
    ):
        array = base
    return array


def _base_of(array: Any) -> Any:
    """Windows over an array (``as_strided``, ``sliding_window_view``) have an object of numpy's own in between."""
    base = array.base
    return base.base if type(base).__name__ == "DummyArray" else base


def is_form(kind: type) -> bool:
    """Whether arrays of that type are only another way to see the memory of plain ones."""
    return kind.__name__ in _FORMS and kind.__module__.partition(".")[0] == "numpy"


def is_masked(kind: type) -> bool:
    """Whether arrays of that type are numpy's own masked ones."""
    return kind.__name__ in _MASKED and kind.__module__.startswith("numpy.ma")


def masks_of(array: Any) -> tuple[Any, ...]:
    """The array beside it that says what is masked, if it has one."""
    return (array._mask,) if is_masked(type(array)) and array._mask.ndim else ()


def root_of(array: Any) -> Any:
    """The same through arrays of any class."""
    kind = sys.modules["numpy"].ndarray
    while isinstance(base := _base_of(array), kind):
        array = base
    return array


def offset_in(owner: Any, array: Any) -> int:
    """Where in the memory of ``owner`` the array begins, in bytes."""
    return int(array.__array_interface__["data"][0] - owner.__array_interface__["data"][0])


def place_in(owner: Any, array: Any) -> tuple[Any, ...]:
    """Where and how ``array`` shows the memory of ``owner``: what :func:`rebuild_view` needs beside that."""
    return offset_in(owner, array), array.shape, array.strides, (array.dtype, array.flags.writeable)


def rebuild_view(owner: Any, offset: int, shape: Any, strides: Any, kind: tuple[Any, bool]) -> Any:
    """An array that shows ``owner``'s memory, ``offset`` bytes in."""
    dtype, writeable = kind
    plain = sys.modules["numpy"].ndarray if is_form(type(owner)) else type(owner)
    view = plain(shape, dtype=dtype, buffer=owner, offset=offset, strides=strides)
    view.flags.writeable = writeable
    return view


def rebuild_objects_view(owner: Any, offset: int, shape: Any, strides: Any, kind: tuple[Any, bool]) -> Any:
    """The same of an array of objects, whose memory numpy gives nobody."""
    numpy = sys.modules["numpy"]
    dtype, writeable = kind
    flat = owner.ravel("K")[offset // dtype.itemsize :]
    return numpy.lib.stride_tricks.as_strided(flat, shape, strides, writeable=writeable)


def rebuild_array(kind: Any, buffer: Any, dtype: Any, shape: Any, form: tuple[str, bool]) -> Any:
    """An array over a buffer."""
    order, writeable = form
    made = kind(shape, dtype=dtype, buffer=buffer, order=order)
    if not writeable:
        made.flags.writeable = False
    return made


def read_only(array: Any) -> Any:
    """The array, which nobody may write to."""
    array.flags.writeable = False
    return array


def rebuild_times(integers: Any, dtype: Any) -> Any:
    """The array of dates or times over the memory of ``integers``."""
    return integers.view(dtype)
