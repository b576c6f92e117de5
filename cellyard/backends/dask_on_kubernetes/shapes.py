"""Shape: all that decides what pod a step needs. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from cellyard import __version__
from cellyard.backends.base import StepTask
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.model.resources import Resources, format_memory

__all__ = ["DEFAULT_IMAGE", "Shape", "shape_of"]

DEFAULT_IMAGE = f"cellyard/worker:{__version__}"


@dataclass(frozen=True, slots=True)
class Shape:
    """The pod that a step needs: CPUs, bytes of memory and of local disk, GPUs, image, labels of its node."""

    cpu: float
    memory: int
    gpu: int = 0
    disk: int | None = None
    image: str = DEFAULT_IMAGE
    node: tuple[tuple[str, str], ...] = ()
    spot: bool = False

    @property
    def name(self) -> str:
        """The Dask resource that workers of this shape have one of."""
        text = json.dumps(asdict(self), sort_keys=True)
        return f"cellyard-{hashlib.blake2s(text.encode(), digest_size=5).hexdigest()}"

    @property
    def resources(self) -> Resources:
        """What it counts against the settings' limits."""
        return Resources(self.cpu, self.memory, self.gpu)

    def __str__(self) -> str:
        parts = [str(self.resources)]
        if self.disk:
            parts.append(f"{format_memory(self.disk)} disk")
        parts += [f"{key}={value}" for key, value in self.node]
        if self.spot:
            parts.append("spot")
        return ", ".join(parts)

    def to_dict(self) -> dict[str, Any]:
        """The shape as JSON."""
        return asdict(self) | {"node": dict(self.node)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Shape:
        """The shape that :meth:`to_dict` wrote."""
        return cls(**{**data, "node": tuple(sorted(data["node"].items()))})


def shape_of(task: StepTask, settings: KubernetesSettings) -> Shape:
    """The shape of a step's pod: what its line says, else the settings."""
    options = task.request.get("options") or {}
    size = task.resources
    return Shape(
        cpu=size.cpu,
        memory=size.memory if size.memory is not None else settings.memory,
        gpu=size.gpu,
        disk=options.get("disk"),
        image=options.get("image") or settings.image or DEFAULT_IMAGE,
        node=tuple(sorted((str(key), str(value)) for key, value in options.get("node") or ())),
        spot=bool(options.get("spot")),
    )
