"""Which processors and GPUs a step gets: the least used ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Places"]


class Places:
    """Hands out processors and devices of one machine.

    ``bind`` False: as many processors as asked for, but none in particular. That is for a container, whose limit the
    system keeps, and whose neighbours on the machine would be bound to the same ones.
    """

    def __init__(self, cpus: Sequence[int], gpus: int, *, bind: bool = True) -> None:
        self._bind = bind
        self._load: Counter[int] = Counter(dict.fromkeys(cpus, 0))
        self._devices: Counter[int] = Counter(dict.fromkeys(range(gpus), 0))

    def take(self, resources: Mapping[str, Any]) -> dict[str, Any]:
        """Processors (a fraction counts as one, to be shared) and devices for a step of that size."""
        count = max(1, math.ceil(resources.get("cpu") or 1))
        cpus = _least_used(self._load, count)
        gpus = _least_used(self._devices, resources.get("gpu") or 0)
        self._load.update(cpus)
        self._devices.update(gpus)
        return {"cpus": cpus, "gpus": gpus} if self._bind else {"cpus": cpus, "gpus": gpus, "threads": count}

    def give_back(self, place: Mapping[str, Sequence[int]]) -> None:
        """The step that was given ``place`` has ended."""
        self._load.subtract(place["cpus"])
        self._devices.subtract(place["gpus"])


def _least_used(load: Counter[int], count: int) -> list[int]:
    return sorted(sorted(load, key=lambda each: (load[each], each))[:count])
