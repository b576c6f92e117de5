"""WantedSchedule: what is asked for when a schedule is made. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WantedSchedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSchedule:
    """A notebook (exported as it is now) or a bundle (copied), and when it is to run. All paths are whole ones;
    ``include``: files that go along with a notebook."""

    path: str
    name: str | None = None
    expression: str | None = None
    timezone: str | None = None
    on_change: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    missed: str = "once"
    overlap: str = "skip"
    command: str | None = None
    webhook: str | None = field(default=None, repr=False)
    include: tuple[str, ...] = ()
    owner: str | None = None
