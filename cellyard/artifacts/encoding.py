"""MessagePack with types: how artifacts and frames are written. Knows nothing of either.

Values are JSON's, plus bytes; integers may have any size and text may hold lone surrogates, because both occur in
what notebooks show. Tuples come back as lists.
"""

from __future__ import annotations

from typing import Any

import msgpack as _untyped

__all__ = ["decode", "encode"]

_MSGPACK: Any = _untyped  # it has no annotations of its own
_BIG_INTEGER = 1


def encode(value: Any) -> bytes:
    """The value as MessagePack. Raises TypeError for what is neither JSON nor bytes."""
    packed: bytes = _MSGPACK.packb(value, default=_encode_other, unicode_errors="surrogatepass")
    return packed


def decode(data: bytes | memoryview) -> Any:
    """The value that :func:`encode` wrote."""
    return _MSGPACK.unpackb(data, ext_hook=_decode_other, strict_map_key=False, unicode_errors="surrogatepass")


def _encode_other(value: Any) -> Any:
    # msgpack asks here for integers beyond 64 bits too.
    if isinstance(value, int):
        return _MSGPACK.ExtType(_BIG_INTEGER, f"{value:x}".encode())
    raise TypeError(f"{type(value).__name__} cannot be sent: {value!r:.100}")


def _decode_other(code: int, data: bytes) -> Any:
    return int(data, 16) if code == _BIG_INTEGER else _MSGPACK.ExtType(code, data)
