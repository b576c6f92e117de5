"""Tasks: the steps that process K has, from the engine's request to their last message. No network."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cellyard.backends.base import Message, StepTask, cancelled, finished, lost
from cellyard.backends.dask_on_kubernetes.roster import WaitingStep
from cellyard.backends.dask_on_kubernetes.shapes import Shape, shape_of
from cellyard.errors import CellyardError, ClusterError, ClusterUnreachable
from cellyard.model.kubernetes import KubernetesSettings
from cellyard.worker.link import unpack

__all__ = ["Task", "Tasks"]

TROUBLE_WITHIN = 60.0
"""Seconds for which a cluster that does not answer is asked again, before the steps that wait fail."""


@dataclass(slots=True, eq=False)
class Task:
    """One step. ``worker`` is set when it has been sent to one; ``number`` is that of the last messages passed on."""

    task: StepTask
    packed: bytes
    shape: Shape
    position: int
    priority: int
    since: float
    sent: bool = False
    worker: str | None = None
    number: int = 0
    started: bool = False
    peak: int = 0
    memory: int = 0
    asked: str | None = None  # "interrupt" or "cancel", when that was asked of it
    notes: set[str] = field(default_factory=set)
    hired: bool = False  # a worker is begun for it
    losing: bool = False  # why it was lost is being found out

    @property
    def token(self) -> str:
        return self.task.token


class Tasks:
    """All steps until their last message. ``tell`` sends a frame to the engine, ``changed`` is called when what waits
    has changed."""

    def __init__(
        self, tell: Callable[..., None], tell_packed: Callable[[bytes], None], changed: Callable[[], None]
    ) -> None:
        self._tell = tell
        self._tell_packed = tell_packed
        self._changed = changed
        self._all: dict[str, Task] = {}
        self._position = 0
        self._trouble_since: float | None = None

    def __iter__(self) -> Iterator[Task]:
        return iter(list(self._all.values()))

    def __len__(self) -> int:
        return len(self._all)

    def get(self, token: str) -> Task | None:
        return self._all.get(token)

    def add(
        self, task: StepTask, packed: bytes, settings: KubernetesSettings, *, sent: bool = False, number: int = 0
    ) -> None:
        """A step from the engine; ``sent``: it runs already, as far as the engine knows."""
        self._position += 1
        options = task.request.get("options") or {}
        self._all[task.token] = Task(
            task=task,
            packed=packed,
            shape=shape_of(task, settings),
            position=self._position,
            priority=int(options.get("priority") or 0),
            since=time.monotonic(),
            sent=sent,
            number=number,
            started=number > 0,
        )

    def waiting(self) -> list[WaitingStep]:
        """Those that have no worker."""
        return [
            WaitingStep(each.token, each.shape, each.position, each.since, each.priority)
            for each in self._all.values()
            if not each.sent
        ]

    def on(self, worker: str) -> Task | None:
        """The step that was sent to this worker and has not ended."""
        return next((each for each in self._all.values() if each.sent and each.worker == worker), None)

    def numbers(self) -> dict[str, int]:
        """Of each step that was sent, the number of the last messages that were passed on."""
        return {each.token: each.number for each in self._all.values() if each.sent}

    def stop(self, token: str, how: str) -> bool:
        """Take a step out when it waits; True when its worker must be told."""
        task = self._all.get(token)
        if task is None:
            return False
        if not task.sent:
            self.finish(task, cancelled(task.task.name))
            return False
        task.asked = how if task.asked != "cancel" else task.asked
        return True

    # What becomes of them.

    def begin(self, task: Task, worker: str) -> None:
        """The step goes to that worker. The engine must know before the worker does: it may begin at once."""
        task.sent, task.worker = True, worker
        self._tell("begun", task.token)

    def hire(self, token: str) -> None:
        """A worker is begun for the step; told once."""
        task = self._all.get(token)
        if task is not None and not task.hired:
            task.hired = True
            self._tell("messages", token, [{"kind": "starting", "time": time.time()}], task.number)

    def pass_on(self, token: str, number: int, packed: bytes, *, ended: bool) -> Task | None:
        """A step's messages from its worker. Returns the step when they were the last; its messages come in order, and
        one that came before is not passed on again. Raises LookupError when some are missing before these."""
        task = self._all.get(token)
        if task is None or number <= task.number:
            return None
        if number != task.number + 1:
            raise LookupError(f"messages {task.number + 1} to {number - 1} of {token} are missing")
        task.number = number
        task.started = True
        if b"peak" in packed and not ended:
            self._note_memory(task, packed)
        self._tell_packed(packed)
        if not ended:
            return None
        del self._all[token]
        return task

    def skip(self, task: Task, number: int) -> None:
        """The messages before that number are lost for good: they were too many to keep."""
        task.number = max(task.number, number - 1)

    def finish(self, task: Task, message: Message) -> None:
        """End a step with a message of ours."""
        if self._all.pop(task.token, None) is not None:
            self._tell("messages", task.token, [message], task.number + 1)
            self._changed()

    def note(self, task: Task, text: str) -> None:
        """Show a sentence under the step's cell, once."""
        if text not in task.notes:
            task.notes.add(text)
            self._tell("messages", task.token, [{"kind": "note", "text": text}], task.number)

    def lose(self, task: Task, cause: str) -> None:
        """Its worker is lost."""
        self.finish(task, lost(task.task.name, worker=task.worker or "kubernetes", cause=cause, peak=task.peak))

    def fail(self, task: Task, error: CellyardError) -> None:
        """It cannot run."""
        self.finish(task, finished("failed", error, cause=str(error), peak=task.peak))

    def refuse(self, error: CellyardError) -> None:
        """None of those that wait can run."""
        for each in self:
            if not each.sent:
                self.fail(each, error)

    def trouble(self, error: ClusterError) -> None:
        """The cluster could not be asked. What will not pass fails the steps that wait; the rest is tried again."""
        now = time.monotonic()
        if not isinstance(error, ClusterUnreachable):
            self.refuse(error)
            return
        if self._trouble_since is None:
            self._trouble_since = now
        if now - self._trouble_since > TROUBLE_WITHIN:
            self.refuse(error)
            return
        for each in self:
            self.note(each, f"{error}; trying again")

    def calm(self) -> None:
        """The cluster answers."""
        self._trouble_since = None

    def end_all(self, cause: str) -> None:
        """End every step."""
        for each in self:
            if each.sent:
                self.lose(each, cause)
            else:
                self.finish(each, cancelled(each.task.name))

    def take_in(self, steps: Mapping[str, Mapping[str, Any]]) -> Iterable[Task]:
        """What the scheduler has of steps that were sent: their missed messages are passed on. Returns those that are
        over without a last message, and those that it does not have."""
        left = []
        for task in self:
            if not task.sent:
                continue
            found = steps.get(task.token)
            if found is None:
                left.append(task)
                continue
            for number, packed, ended in found["batches"]:
                if number > task.number + 1:
                    self.skip(task, number)
                self.pass_on(task.token, number, packed, ended=ended)
            if found["over"] and task.token in self._all:
                left.append(task)
        return left

    def _note_memory(self, task: Task, packed: bytes) -> None:
        for each in unpack(packed)[2]:
            if each["kind"] == "memory":
                task.memory, task.peak = each["bytes"], max(task.peak, each["peak"])
