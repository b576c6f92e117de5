"""Which processors and GPUs a step gets: the least used ones."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["Places"]


class Places:
    """Hands out processors and devices of one machine."""

    def __init__(self, cpus: Sequence[int], gpus: int) -> None:
        self._load: Counter[int] = Counter(dict.fromkeys(cpus, 0))
        self._devices: Counter[int] = Counter(dict.fromkeys(range(gpus), 0))

    def take(self, resources: Mapping[str, Any]) -> dict[str, list[int]]:
        """Processors (a fraction counts as one, to be shared) and devices for a step of that size."""
        cpus = _least_used(self._load, max(1, math.ceil(resources.get("cpu") or 1)))
        gpus = _least_used(self._devices, resources.get("gpu") or 0)
        self._load.update(cpus)
        self._devices.update(gpus)
        return {"cpus": cpus, "gpus": gpus}

    def give_back(self, place: Mapping[str, Sequence[int]]) -> None:
        """The step that was given ``place`` has ended."""
        self._load.subtract(place["cpus"])
        self._devices.subtract(place["gpus"])


def _least_used(load: Counter[int], count: int) -> list[int]:
    return sorted(sorted(load, key=lambda each: (load[each], each))[:count])
