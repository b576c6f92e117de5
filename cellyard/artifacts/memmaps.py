"""Arrays over a file: what is written into them must reach the file, in whichever process that is done.

They travel as the place in the file, and with their content for a machine that does not have it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from cellyard.artifacts.memory import offset_in, owner_of

numpy: Any = np  # its annotations know fewer modes than it does

__all__ = ["memmap_reduce", "rebuild_memmap", "rebuild_part"]

#: A file is not made anew where the array goes to, nor are private changes of one seen there.
_MODES = {"r": "r", "r+": "r+", "w+": "r+"}


def memmap_reduce(obj: Any) -> Any:
    """The reduction of a ``numpy.memmap`` that shows its file, else NotImplemented."""
    root = owner_of(obj)
    if root.filename is None or root.mode not in _MODES or not root.flags.forc:
        return NotImplemented
    if root is not obj:
        return rebuild_part, (root, offset_in(root, obj), obj.shape, obj.strides, obj.dtype)
    order = "C" if root.flags.c_contiguous else "F"
    where = (str(root.filename), root.mode, root.offset, root.dtype, root.shape, order)
    return rebuild_memmap, (where, root.view(numpy.ndarray))


def rebuild_memmap(where: tuple[Any, ...], content: Any) -> Any:
    """The array over its file, or over its content where that file is not."""
    filename, mode, offset, dtype, shape, order = where
    path = Path(filename)
    if not path.is_file() or path.stat().st_size < offset + content.nbytes:
        return content
    made = numpy.memmap(path, dtype=dtype, mode=_MODES[mode], offset=offset, shape=shape, order=order)
    made.mode = mode
    return made


def rebuild_part(root: Any, shift: int, shape: Any, strides: Any, dtype: Any) -> Any:
    """An array that shows a part of ``root``, ``shift`` bytes in."""
    made = numpy.ndarray.__new__(type(root), shape, dtype, root, shift, strides)
    if type(root) is not numpy.ndarray:
        vars(made).update(vars(root))
    return made
