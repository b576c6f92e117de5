"""The hook by which the wheel and the source archive get the labextension, built if need be."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

sys.path.insert(0, str(Path(__file__).resolve().parent))
import labextension  # beside this file, and no package


class LabextensionHook(BuildHookInterface):  # type: ignore[misc]
    """An editable installation has none of its own: scripts build and link it."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        """Node, where the machine has none and something is to be built."""
        if labextension.is_built() or labextension.npm_command() is not None:
            return []
        return [labextension.NODE_PACKAGE]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        labextension.build()
        if self.target_name == "wheel":
            build_data["shared_data"] |= {str(source): place for source, place in labextension.PLACES.items()}
