"""The contract of an exporter, and the values that cross it. Pure: nothing is written, nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePath
from typing import Any, Protocol

from cellyard.schedules.cron import Schedule
from cellyard.settings import Settings

__all__ = ["Export", "ExportRequest", "Exporter"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportRequest:
    """A notebook to carry elsewhere: its file's name and content, the files that go with it by name, when it is to
    run (None: when somebody says so), and what the target alone understands."""

    notebook: str
    content: bytes
    settings: Settings
    files: Mapping[str, bytes] = field(default_factory=dict)
    schedule: Schedule | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def stem(self) -> str:
        """The notebook's name without its suffix."""
        return PurePath(self.notebook).stem


@dataclass(frozen=True, slots=True, kw_only=True)
class Export:
    """What came of it: texts by the names of their files, other files that only go along (``data``), the objects to
    apply (those of ``files`` that are for the target itself), and sentences for the person."""

    files: Mapping[str, str]
    data: Mapping[str, bytes] = field(default_factory=dict)
    objects: tuple[dict[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


class Exporter(Protocol):
    """A target. What every exporter promises:

    - ``export`` is pure: the same request gives the same texts; nothing is written or contacted.
    - What cannot be carried there is refused with a UsageError that says what to do, never left out silently.
    - No secret is written out: secrets are named, and found by the target.
    """

    def export(self, request: ExportRequest) -> Export:
        """The request as the target wants it."""
