"""Rows: what the records hold, as frozen values. Pure; no SQL.

The ``*Record`` classes and :class:`Event` are what reading gives; :class:`EventRow` and :class:`AttemptEnd` are
what writing takes. Times are seconds since 1970, memory is bytes. Every ``to_dict`` is JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, Self

from cellyard.model import Resources, RunState, StepLine, StepState, is_terminal
from cellyard.model.plain import Plain

__all__ = [
    "AttemptEnd",
    "AttemptRecord",
    "CachedResult",
    "Event",
    "EventLike",
    "EventRow",
    "LostWork",
    "MetricPoint",
    "OpenedStep",
    "RunOrigin",
    "RunRecord",
    "StepRecord",
]


class _Lasting(Plain):
    """What has a state, begins and ends."""

    __slots__ = ()
    state: RunState | StepState
    started: float | None
    finished: float | None

    @property
    def seconds(self) -> float | None:
        """How long it ran (a step: its newest attempt), once it has ended."""
        if self.started is None or self.finished is None:
            return None
        return max(0.0, self.finished - self.started)

    @property
    def ended(self) -> bool:
        """Whether it is in a state that nothing leaves."""
        return is_terminal(self.state)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunOrigin:
    """Who started a run, from which state of the code, and what it is called."""

    name: str | None = None
    owner: str | None = None
    commit: str | None = None
    changed: bool | None = None
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    resumes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricPoint(Plain):
    """One value of a metric, as it was logged. ``at`` is where on its curve, if that was said."""

    name: str
    value: float | str
    at: float | None
    time: float
    step_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord(_Lasting):
    """One run: of a single cell (``kind`` "cell") or of a notebook ("notebook").

    ``history`` is every state it has had, the present one last. ``owner_pid`` is the process that drives a
    notebook's run. ``error`` is None or at least {"type", "message"}. ``resumes`` is the run that it goes on
    from. ``name`` is what somebody called it, ``owner``
    who started it, ``commit`` what was checked out where its notebook is, and ``changed`` whether the notebook differed
    from that. ``metrics`` have their last values; what is no finite number is told in a word ("nan").
    """

    id: int
    kind: str
    notebook: str
    session: str
    state: RunState
    history: tuple[str, ...]
    created: float
    started: float | None = None
    finished: float | None = None
    owner_pid: int | None = None
    error: dict[str, Any] | None = None
    name: str | None = None
    owner: str | None = None
    resumes: int | None = None
    commit: str | None = None
    changed: bool | None = None
    tags: tuple[str, ...] = ()
    parameters: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float | str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The run as JSON, with ``seconds``."""
        return self._fields() | {
            "state": str(self.state),
            "history": list(self.history),
            "tags": list(self.tags),
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The run that :meth:`to_dict` wrote."""
        known = cls._known(data)
        known["state"] = RunState(data["state"])
        known["history"] = tuple(data["history"])
        known["tags"] = tuple(data.get("tags") or ())
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRecord(_Lasting):
    """One step of a run, with what its newest attempt did.

    ``resources`` is what it was given (after capping), ``options`` what its line asked for. ``attempt`` is the
    newest attempt's number (0: none yet) and ``token`` its token. ``peak_memory`` is the most of any attempt.
    ``packages`` are the versions of what the notebook had imported, and Python's own. ``taken``: when a
    kernel had taken over what it made. ``reused``: the run whose result it has taken instead of running.
    """

    id: int
    run_id: int
    name: str
    position: int
    state: StepState
    history: tuple[str, ...]
    source: str
    line: str
    raw_line: str
    cell_id: str | None
    execution_count: int
    options: StepLine
    resources: Resources
    inputs: tuple[dict[str, Any], ...]
    outputs: tuple[dict[str, Any], ...]
    created: float
    attempt: int = 0
    token: str | None = None
    started: float | None = None
    finished: float | None = None
    error: dict[str, Any] | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    pid: int | None = None
    worker: str | None = None
    packages: dict[str, str] | None = None
    taken: float | None = None
    given: float | None = None
    reused: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """The step as JSON, with ``seconds``."""
        return self._fields() | {
            "state": str(self.state),
            "history": list(self.history),
            "options": self.options.to_dict(),
            "resources": self.resources.to_dict(),
            "inputs": list(self.inputs),
            "outputs": list(self.outputs),
            "seconds": self.seconds,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The step that :meth:`to_dict` wrote."""
        known = cls._known(data)
        known |= {key: tuple(data[key]) for key in ("history", "inputs", "outputs")}
        known["state"] = StepState(data["state"])
        known["options"] = StepLine.from_dict(data["options"])
        known["resources"] = Resources.from_dict(data["resources"])
        return cls(**known)


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptRecord(_Lasting):
    """One attempt at a step. Numbers count from 1; the token is what its commit must carry. ``given``: when it
    had a worker, or one was begun for it; from then to ``started`` it is starting."""

    id: int
    step_id: int
    number: int
    token: str
    state: StepState
    created: float
    given: float | None = None
    started: float | None = None
    finished: float | None = None
    worker: str | None = None
    pid: int | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    error: dict[str, Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """The attempt as JSON, with ``seconds``."""
        return self._fields() | {"state": str(self.state), "seconds": self.seconds}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """The attempt that :meth:`to_dict` wrote."""
        return cls(**{**cls._known(data), "state": StepState(data["state"])})


class EventLike(Protocol):
    """What can be written as an event: :class:`EventRow`, :class:`Event`, or anything of the same shape.

    ``seq`` None: the next number is given to it; otherwise it must be higher than every number so far.
    ``step`` is the step's name, ``attempt`` its number; both None for something of the run as a whole.
    """

    @property
    def seq(self) -> int | None: ...
    @property
    def run(self) -> int: ...
    @property
    def step(self) -> str | None: ...
    @property
    def step_id(self) -> int | None: ...
    @property
    def attempt(self) -> int | None: ...
    @property
    def time(self) -> float: ...
    @property
    def kind(self) -> str: ...
    @property
    def content(self) -> Mapping[str, Any]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRow:
    """Something that happened, not yet recorded; see :class:`EventLike`."""

    run: int
    kind: str
    content: Mapping[str, Any]
    time: float
    step: str | None = None
    step_id: int | None = None
    attempt: int | None = None
    seq: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event(Plain):
    """Something that happened. ``seq`` grows by the order of recording and is never used twice. Its ``to_dict`` is the
    shape that every face receives."""

    seq: int
    run: int
    step: str | None
    step_id: int | None
    attempt: int | None
    time: float
    kind: str
    content: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptEnd:
    """How the attempt with this token ended.

    ``finished`` None: now. ``ends_run``: its run ends with its step, in the same state. ``started``, ``pid`` and
    ``worker`` need only be given for an attempt that was never marked running. ``events`` are written in the
    same commit, or not at all; so is, where ``keeps`` is given, the result under its key: ``key``, ``notebook``,
    ``name``, ``parts``, ``content``.
    """

    token: str
    state: StepState
    outputs: Sequence[Mapping[str, Any]] = ()
    error: Mapping[str, Any] | None = None
    peak_memory: int | None = None
    cpu_seconds: float | None = None
    finished: float | None = None
    given: float | None = None
    started: float | None = None
    pid: int | None = None
    worker: str | None = None
    ends_run: bool = False
    events: Sequence[EventLike] = ()
    keeps: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CachedResult(Plain):
    """A result that may be taken again under ``key``. ``parts`` is what the key was made of, ``content`` what a step
    left (outputs, deleted, result, process state) or what a cell has shown."""

    key: str
    run_id: int
    step_id: int | None
    notebook: str
    name: str
    created: float
    parts: dict[str, Any]
    content: dict[str, Any]
    id: int = 0


@dataclass(frozen=True, slots=True)
class OpenedStep:
    """The ids of a step that was opened, and its first attempt's number."""

    run_id: int
    step_id: int
    attempt: int = 1


@dataclass(frozen=True, slots=True)
class LostWork:
    """The ids of the runs and steps that were marked lost."""

    runs: tuple[int, ...] = ()
    steps: tuple[int, ...] = ()
