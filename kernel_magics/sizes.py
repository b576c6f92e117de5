"""``%steps sizes``: which sizes to ask for, with the evidence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from cellyard.model.resources import Resources, format_memory
from cellyard.tables import Table

__all__ = ["SizesTable"]


class SizesTable(Table):
    """Proposals."""

    columns = ("step", "has", "try", "because")
    nothing = "No step of this notebook has run yet, so nothing is known of what they use."

    def __init__(self, steps: Sequence[Mapping[str, Any]]) -> None:
        super().__init__([_row(step) for step in steps])


def _row(step: Mapping[str, Any]) -> list[str]:
    proposal = step["proposal"]
    memory = f"--memory {format_memory(proposal['memory']).replace(' ', '')}" if proposal["memory"] else ""
    cpu = f"--cpu {proposal['cpu']:g}" if proposal["cpu"] else ""
    has = Resources.from_dict(step["attempts"][0]["resources"])
    return [step["name"], str(has), " ".join(filter(None, [cpu, memory])), proposal["because"] or "too little is known"]
