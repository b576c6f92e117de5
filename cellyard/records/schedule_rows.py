"""Schedule rows: what the records hold of schedules and of each time that one came, as frozen values. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from cellyard.model.plain import Plain

__all__ = ["FIRING_ENDS", "FiringRecord", "ScheduleRecord"]

FIRING_ENDS = frozenset({"succeeded", "failed", "cancelled", "skipped", "lost"})
"""The states that a firing does not leave. Before them it is "waiting" or "running"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleRecord(Plain):
    """When a bundle runs. ``expression`` are cron fields in ``timezone`` (None: only on change or by hand),
    ``on_change`` what is watched. ``missed`` is skip, once or all; ``overlap`` skip, queue, replace or allow.
    ``command`` and ``webhook`` are told of failures; of the webhook only where it leads is known here."""

    id: int
    name: str
    state: str
    bundle: str
    notebook: str
    created: float
    considered: float
    expression: str | None = None
    timezone: str = "Etc/UTC"
    on_change: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    missed: str = "once"
    overlap: str = "skip"
    command: str | None = None
    webhook: str | None = None
    owner: str | None = None
    seen: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The schedule as JSON."""
        return self._fields() | {"on_change": list(self.on_change)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The schedule that :meth:`to_dict` wrote."""
        return cls(**{**cls._known(data), "on_change": tuple(data.get("on_change") or ())})


@dataclass(frozen=True, slots=True, kw_only=True)
class FiringRecord(Plain):
    """One time that a schedule came. ``cause`` is time, missed, change or hand; ``note`` says why, where there is more
    to say. ``run_id`` is known once its process has opened the run."""

    id: int
    schedule_id: int
    due: float
    cause: str
    state: str
    note: str
    created: float
    started: float | None = None
    finished: float | None = None
    pid: int | None = None
    run_id: int | None = None
