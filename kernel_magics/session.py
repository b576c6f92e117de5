"""What the magics share: the shell, the engine's client, who we are, the namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cellyard.service.client import EngineClient
from kernel_magics.identity import Identity
from kernel_magics.namespace import Namespace

__all__ = ["Session"]


@dataclass
class Session:
    """One kernel's connection to cellyard; ``identity`` changes when the user names the notebook."""

    shell: Any
    client: EngineClient
    identity: Identity
    namespace: Namespace
