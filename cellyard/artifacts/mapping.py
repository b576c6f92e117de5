"""Private mappings of stored buffers, and what the page tables say of them.

A mapping is copy-on-write: it may be changed freely and never changes the store. A page that was written has an
anonymous copy, which the kernel shows in ``/proc/self/pagemap``; a mapping without any is what the store holds.
"""

from __future__ import annotations

import array
import ctypes
import mmap
import os
import sys
import weakref
from typing import NamedTuple

__all__ = ["BlobMap", "Origin", "is_unchanged", "map_private", "mapping_of", "unchanged_blob"]

PAGE = mmap.PAGESIZE
_PRESENT, _SWAPPED, _FILE = 1 << 63, 1 << 62, 1 << 61


class Origin(NamedTuple):
    """Which object of which store a mapping shows."""

    store: str
    id: str


class BlobMap(mmap.mmap):
    """A private mapping that knows its origin and address."""

    origin: Origin
    address: int

    @staticmethod
    def origin_of(store: str, id: str) -> Origin:
        return Origin(store, id)


_MAPPINGS: weakref.WeakValueDictionary[int, BlobMap] = weakref.WeakValueDictionary()


def map_private(path: str, origin: Origin, size: int) -> memoryview:
    """``size`` bytes of the file as private, writable memory; ValueError when the file has another size."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        actual = os.fstat(descriptor).st_size
        if actual != size:
            raise ValueError(f"it has {actual:,} bytes instead of {size:,}")
        mapped = BlobMap(descriptor, size, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ | mmap.PROT_WRITE)
    finally:
        os.close(descriptor)
    mapped.origin = origin
    mapped.address = ctypes.addressof(ctypes.c_char.from_buffer(mapped))
    _MAPPINGS[mapped.address] = mapped
    return memoryview(mapped)


def mapping_of(view: memoryview) -> BlobMap | None:
    """The live mapping that ``view`` shows whole, if it shows one."""
    if not _MAPPINGS or view.readonly or not view.nbytes:
        return None
    found = _MAPPINGS.get(ctypes.addressof(ctypes.c_char.from_buffer(view)))
    return found if found is not None and len(found) == view.nbytes else None


def unchanged_blob(view: memoryview, store: str) -> str | None:
    """The id under which ``store`` already holds these bytes, when they are an unchanged mapping of it."""
    mapped = mapping_of(view)
    if mapped is None or mapped.origin.store != store or not is_unchanged(mapped):
        return None
    return mapped.origin.id


def is_unchanged(mapped: BlobMap) -> bool:
    """True when no page of the mapping was written; False also where the page tables cannot be read."""
    first = mapped.address // PAGE
    count = -(-len(mapped) // PAGE)
    try:
        with open("/proc/self/pagemap", "rb", buffering=0) as pagemap:  # noqa: PTH123
            pagemap.seek(first * 8)
            entries = pagemap.read(count * 8)
    except OSError:
        return False
    return len(entries) == count * 8 and not _any_private(entries)


def _any_private(entries: bytes) -> bool:
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        flags = numpy.frombuffer(entries, dtype=numpy.uint64) >> numpy.uint64(61)
        # bit 0: a page of the file; bits 1 and 2: swapped, present.
        return bool(((flags > 1) & (flags & numpy.uint64(1) == 0)).any())
    return any(e & (_PRESENT | _SWAPPED) and not e & _FILE for e in array.array("Q", entries))
