"""Roster: which worker for which step, which workers to create and which to delete. Pure.

Facts in (steps that wait, workers that there are, limits), decisions out. Steps go in the order of their priority,
which grows while they wait, then of their submission. One that finds no room holds back those behind it, and workers
that nobody uses make room for it; so neither large steps nor small ones starve.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.model.resources import UNLIMITED, Resources

__all__ = ["AGE", "Decisions", "Limits", "WaitingStep", "WorkerFacts", "decide", "ordered"]

AGE = 60.0
"""Seconds of waiting that count as much as one more of priority."""


@dataclass(frozen=True, slots=True)
class WaitingStep:
    """A step that has no worker yet; ``since`` and all other times are of one clock."""

    token: str
    shape: Shape
    position: int
    since: float
    priority: int = 0


@dataclass(frozen=True, slots=True)
class WorkerFacts:
    """One worker. ``state``: "starting", "idle", "busy". ``short``: the cluster has no room for its pod."""

    name: str
    shape: Shape
    state: str
    idle_since: float = 0.0
    short: bool = False


@dataclass(frozen=True, slots=True)
class Limits:
    """What all workers may have together; ``idle``: seconds after which one without work goes."""

    cpu: float = math.inf
    memory: float = math.inf
    gpu: float = math.inf
    workers: int = 20
    idle: float = 300.0

    def capacity(self) -> Resources:
        """The largest step that could ever run, for errors; what has no limit is not named there."""
        memory = None if math.isinf(self.memory) else int(self.memory)
        return Resources(self.cpu, memory, int(min(self.gpu, UNLIMITED)))


@dataclass(slots=True)
class Decisions:
    """``assign``: step -> worker that is idle. ``await_``: step -> worker that starts, and is meant for it. ``create``:
    step -> shape of the worker to create for it. ``delete``: workers that go. ``later``: seconds after which to ask
    again, though nothing happens."""

    assign: dict[str, str] = field(default_factory=dict)
    await_: dict[str, str] = field(default_factory=dict)
    create: dict[str, Shape] = field(default_factory=dict)
    delete: list[str] = field(default_factory=list)
    later: float | None = None


def decide(waiting: Iterable[WaitingStep], workers: Sequence[WorkerFacts], limits: Limits, now: float) -> Decisions:
    """What to do now."""
    return _Deciding(workers, limits, now).run(waiting)


def ordered(waiting: Iterable[WaitingStep], now: float) -> list[WaitingStep]:
    """Who goes first: the higher priority, which grows while one waits, then the earlier."""
    return sorted(waiting, key=lambda step: (-step.priority - int((now - step.since) // AGE), step.position))


class _Deciding:
    def __init__(self, workers: Sequence[WorkerFacts], limits: Limits, now: float) -> None:
        self._limits = limits
        self._now = now
        self._found = Decisions()
        self._idle = sorted((each for each in workers if each.state == "idle"), key=lambda each: -each.idle_since)
        self._starting = [each for each in workers if each.state == "starting"]
        self._all: dict[str, Shape] = {each.name: each.shape for each in workers}

    def run(self, waiting: Iterable[WaitingStep]) -> Decisions:
        steps = ordered(waiting, self._now)
        for step in steps:
            if not self._place(step):
                break
        self._let_go(any_waits=bool(steps))
        return self._found

    def _place(self, step: WaitingStep) -> bool:
        """Find the step a worker; False when it must wait for room, and those behind it with it."""
        for worker in self._idle:
            if worker.shape == step.shape:
                self._idle.remove(worker)
                self._found.assign[step.token] = worker.name
                return True
        for worker in self._starting:
            if worker.shape == step.shape:
                self._starting.remove(worker)
                self._found.await_[step.token] = worker.name
                if worker.short:
                    self._delete_idle()
                return True
        while not self._has_room(step.shape):
            if not self._delete_idle():
                return False
        self._all[f"new for {step.token}"] = step.shape
        self._found.create[step.token] = step.shape
        return True

    def _has_room(self, shape: Shape) -> bool:
        shapes = [*self._all.values(), shape]
        return (
            len(shapes) <= self._limits.workers
            and _sum(shapes, "cpu") <= self._limits.cpu + 1e-9
            and _sum(shapes, "memory") <= self._limits.memory
            and _sum(shapes, "gpu") <= self._limits.gpu
        )

    def _delete_idle(self) -> bool:
        """Delete the worker that has been idle longest; False when none is."""
        if not self._idle:
            return False
        self._delete(self._idle.pop())
        return True

    def _delete(self, worker: WorkerFacts) -> None:
        self._found.delete.append(worker.name)
        self._all.pop(worker.name, None)

    def _let_go(self, *, any_waits: bool) -> None:
        """Delete what has been idle for long, and what will not start soon and nobody waits for any more."""
        for worker in self._starting:
            if worker.short:
                self._delete(worker)
        for worker in list(self._idle):
            left = worker.idle_since + self._limits.idle - self._now
            if left <= 0:
                self._idle.remove(worker)
                self._delete(worker)
            else:
                self._found.later = min(left, self._found.later or left)
        if any_waits:
            # Its rank grows.
            self._found.later = min(AGE, self._found.later or AGE)


def _sum(shapes: Iterable[Shape], what: str) -> float:
    return math.fsum(getattr(each, what) for each in shapes)
