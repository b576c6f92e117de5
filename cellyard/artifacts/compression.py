"""zstd for what it is worth it: a sample says whether a buffer shrinks, and most numbers do not.

A compressed object is a row of independent frames, so that it can be made and read piece by piece.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

__all__ = ["CompressionError", "Decompressor", "compressed", "shrinks"]

#: Below this size a round trip costs more than the bytes.
SMALLEST = 64 << 10
_LEVEL = 1
_SAMPLES = 8
_SAMPLE_BYTES = 32 << 10
_WORTH = 0.75
_FRAME_BYTES = 16 << 20
_codecs = threading.local()  # neither may be used by two threads at once


class CompressionError(Exception):
    """Bytes that no compressor wrote."""


def shrinks(view: memoryview) -> bool:
    """True when samples from all over the buffer shrink by a quarter or more."""
    if view.nbytes < SMALLEST:
        return False
    sample = b"".join(view[at : at + _SAMPLE_BYTES] for at in _places(view.nbytes))
    return len(_compressor().compress(sample)) <= len(sample) * _WORTH


def _places(size: int) -> list[int]:
    if size <= _SAMPLES * _SAMPLE_BYTES:
        return list(range(0, size, _SAMPLE_BYTES))
    step = (size - _SAMPLE_BYTES) // (_SAMPLES - 1)
    return [step * number for number in range(_SAMPLES)]


def compressed(view: memoryview) -> Iterator[bytes]:
    """The buffer as frames, one after the other."""
    for start in range(0, view.nbytes, _FRAME_BYTES):
        yield _compressor().compress(view[start : start + _FRAME_BYTES])


def _compressor() -> Any:
    if not hasattr(_codecs, "compressor"):
        import zstandard

        _codecs.compressor = zstandard.ZstdCompressor(level=_LEVEL)
    return _codecs.compressor


class Decompressor:
    """What the frames held, piece by piece, in order."""

    def __init__(self) -> None:
        import zstandard

        self._error = zstandard.ZstdError
        self._object = zstandard.ZstdDecompressor().decompressobj(read_across_frames=True)

    def feed(self, data: bytes) -> bytes:
        """What these bytes of the object add. Raises CompressionError."""
        try:
            found: bytes = self._object.decompress(data)
        except self._error as error:
            raise CompressionError(str(error)) from error
        return found
