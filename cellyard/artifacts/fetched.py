"""An object that has come from a store elsewhere: a file of the cache, or memory where there is no room for one."""

from __future__ import annotations

import contextlib
import mmap
from pathlib import Path

from cellyard.artifacts.cache import DiskCache, Writing
from cellyard.artifacts.mapping import Origin, map_private

__all__ = ["Fetched"]


class Fetched:
    """An object that has arrived: in memory, or in a file of the cache."""

    def __init__(self, size: int, *, data: memoryview | None = None, writing: Writing | None = None) -> None:
        self._size = size
        self._data = data
        self._writing = writing
        self._path = writing.path if writing is not None else ""

    @classmethod
    def of_size(cls, cache: DiskCache, size: int) -> Fetched:
        """Room for an object: a file, or memory where there is no room for one."""
        try:
            return cls(size, writing=cache.create(size))
        except OSError:
            return cls(size, data=memoryview(mmap.mmap(-1, size)))

    def write(self, data: bytes | memoryview, position: int) -> None:
        if self._writing is not None:
            self._writing.write(data, position)
        elif self._data is not None:
            self._data[position : position + len(data)] = data

    def keep(self, id: str) -> None:
        """Into the cache with it, if it is a file and may stay."""
        if self._writing is not None:
            with contextlib.suppress(OSError):
                self._path = self._writing.keep(id)

    def bytes(self) -> bytes:
        """The content."""
        return bytes(self._data) if self._data is not None else Path(self._path).read_bytes()

    def mapped(self, origin: Origin, size: int) -> memoryview:
        """The content as private memory. Raises ValueError when it has another size."""
        if self._data is None:
            return map_private(self._path, origin, size)
        if self._size != size:
            raise ValueError(f"it has {self._size:,} bytes instead of {size:,}")
        return self._data

    def close(self) -> None:
        """Done with it; whoever maps the file goes on to."""
        if self._writing is not None:
            self._writing.close()
