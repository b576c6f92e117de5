"""The contract of an exporter, and the values that cross it. Pure: nothing is written, nobody is asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import PurePath
from typing import Any, ClassVar, Protocol

from cellyard.schedules.cron import Schedule
from cellyard.settings import Settings

__all__ = ["Export", "ExportRequest", "Exporter", "ExporterFacts"]


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ExporterFacts:
    """What an exporter says of itself, for whoever offers it. ``title``: what it makes, in words. ``keeps_time``: a
    schedule is a part of what is written. ``writes_bundle``: what is written is a bundle, perhaps with more beside it;
    so it can be locked, proven, and run at its times by the engine of a machine, and the request's options are those of
    a bundle. ``carries_bundle``: the option ``bundle`` is the notebook's bundle, if it can be one."""

    title: str
    keeps_time: bool = False
    writes_bundle: bool = False
    carries_bundle: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON."""
        return asdict(self)


class Exporter(Protocol):
    """A target. What every exporter promises:

    - ``about`` says what kind of target it is; nothing asks for its name.
    - ``export`` is pure: the same request gives the same texts; nothing is written or contacted.
    - What cannot be carried there is refused with a UsageError that says what to do, never left out silently.
    - No secret is written out: secrets are named, and found by the target.
    """

    about: ClassVar[ExporterFacts]

    def export(self, request: ExportRequest) -> Export:
        """The request as the target wants it."""
