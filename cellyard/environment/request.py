"""Environment: what goes with a step's request so that a worker elsewhere can be prepared for it. Its dictionary is
JSON."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.environment.versions import Versions

__all__ = ["Environment", "ModuleBundle"]


@dataclass(frozen=True, slots=True)
class ModuleBundle:
    """A local top-level module with all its files: the object ``id`` of ``size`` bytes in the store."""

    name: str
    id: str
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Environment:
    """``lock`` are the packages that the step may import, with all that they need, one requirement of one version each;
    ``platform`` is where the kernel runs them."""

    versions: Versions
    platform: str
    lock: tuple[str, ...] = ()
    modules: tuple[ModuleBundle, ...] = ()

    @property
    def id(self) -> str:
        """Equal for environments that prepare a worker in the same way."""
        return hashlib.sha256(json.dumps(self.to_dict(), sort_keys=True).encode()).hexdigest()

    def to_dict(self) -> dict[str, Any]:
        """The environment as JSON."""
        return {
            "versions": self.versions.to_dict(),
            "platform": self.platform,
            "lock": list(self.lock),
            "modules": [[each.name, each.id, each.size] for each in self.modules],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Environment:
        """The environment that :meth:`to_dict` wrote."""
        return cls(
            versions=Versions.from_dict(data["versions"]),
            platform=str(data["platform"]),
            lock=tuple(data["lock"]),
            modules=tuple(ModuleBundle(*each) for each in data["modules"]),
        )
