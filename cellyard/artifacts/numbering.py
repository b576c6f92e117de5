"""Packing a value as what it needs: as quick as can be, and once more with numbers where it has floats that are not a
number."""

from __future__ import annotations

import functools
from typing import Any

from cellyard.artifacts.deep import dumped
from cellyard.artifacts.nans import NumberedNans, has_nan
from cellyard.artifacts.pickler import Packer

__all__ = ["packed_by"]


class _NumberingPacker(Packer):
    """Has numbers in the place of floats that are not one; it is asked for each object, which takes its time."""

    has_nans = True

    def __init__(self, namespace: dict[str, Any], **options: Any) -> None:
        super().__init__(namespace, **options)
        self._nans = NumberedNans()

    def persistent_id(self, obj: Any) -> int | None:
        if type(obj) is not float or obj == obj:  # noqa: PLR0124 - what is not equal to itself, at its quickest
            return None
        number = self._nans.number_of(obj)
        if self._nans.needs_numpy:
            self.modules.add("numpy")
        return number


def packed_by(value: Any, namespace: dict[str, Any], **options: Any) -> Packer:
    """The packer that has packed the value."""
    packer = dumped(functools.partial(Packer, namespace, **options), value)
    if has_nan(packer.file.getvalue()):
        packer = dumped(functools.partial(_NumberingPacker, namespace, **options), value)
    return packer
