"""Which loaded groups a cell has changed in place.

The yardstick is the group pickled again in the same process: before the cell when it is small, else the stored pickle
itself. Buffers that are mapped are judged by the page tables. A false "changed" costs one write, never a wrong value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from blake3 import blake3

from cellyard.artifacts.artifact import Packed, pack_group
from cellyard.artifacts.encoding import decode
from cellyard.artifacts.mapping import is_unchanged, mapping_of
from cellyard.artifacts.store import Store
from cellyard.errors import CannotTravel

__all__ = ["LoadedGroup"]

#: Up to this size a group is pickled before the cell, which is exact; above, the stored pickle is compared.
SMALL_BYTES = 1 << 20
_CONSTANT = (type(None), bool, int, float, complex, str, bytes)


class LoadedGroup:
    """One input group of a step: its reference and the loaded values.

    ``is_watched`` is False where it is known beforehand that the cell leaves the values as they are.
    """

    def __init__(
        self,
        reference: Mapping[str, Any],
        values: dict[str, Any],
        store: Store,
        namespace: dict[str, Any],
        *,
        is_watched: bool = True,
    ) -> None:
        self.reference = reference
        self.values = values
        self._namespace = namespace
        self._before = self._digest_before(store) if is_watched else None

    def _digest_before(self, store: Store) -> bytes | None:
        if all(type(value) in _CONSTANT for value in self.values.values()):
            return None
        header = decode(store.read(self.reference["id"]))
        if "pickle" in header or self.reference["size"] - _buffer_bytes(header) <= SMALL_BYTES:
            return self._digest_now()
        return bytes.fromhex(header["pickle_id"])

    def _digest_now(self) -> bytes:
        try:
            return _digest(pack_group(self.values, self._namespace))
        except CannotTravel:
            return b"cannot travel"

    def changed(self) -> bool:
        """True when a value of the group is not what was loaded."""
        return self._before is not None and self._digest_now() != self._before


def _buffer_bytes(header: Mapping[str, Any]) -> int:
    return sum(size for _, size in header["buffers"])


def _digest(packed: Packed) -> bytes:
    """The hash of the pickle, and of the buffers that are not unchanged mappings of the store."""
    hasher = blake3(packed.pickle)
    for index, buffer in enumerate(packed.buffers):
        view = buffer.raw()
        mapped = mapping_of(view)
        if mapped is None or not is_unchanged(mapped):
            hasher.update(index.to_bytes(4, "big"))
            hasher.update(view)
    return bytes(hasher.digest())
