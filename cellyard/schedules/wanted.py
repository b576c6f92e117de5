"""WantedSchedule: what is asked for when a schedule is made, or another notebook put in its place. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

__all__ = ["WantedSchedule"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WantedSchedule:
    """A notebook (exported as it is now) or a bundle (copied), and when it is to run. All paths are whole ones;
    ``include``: files that go along with a notebook. None is what nothing was said of: a schedule that is replaced
    keeps what it has, a new one has the default. ``replace``: a schedule of that name may be there."""

    path: str
    name: str | None = None
    expression: str | None = None
    timezone: str | None = None
    on_change: tuple[str, ...] | None = None
    parameters: Mapping[str, Any] | None = None
    missed: str | None = None
    overlap: str | None = None
    command: str | None = None
    webhook: str | None = field(default=None, repr=False)
    include: tuple[str, ...] = ()
    owner: str | None = None
    replace: bool = False
