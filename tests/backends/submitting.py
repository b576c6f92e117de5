"""What tests of backends share: tasks made of one line, and a listener that remembers."""

from __future__ import annotations

import asyncio
import uuid
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

from cellyard.backends.base import Message, StepTask
from cellyard.model.resources import Resources
from cellyard.model.step import StepRequest

__all__ = ["Inbox", "make_task", "outputs"]

_DEADLINE = 30.0


def make_task(source: str, *, cpu: float = 1.0, memory: int | None = None, gpu: int = 0) -> StepTask:
    """A step of this source, with a token of its own."""
    request = StepRequest(notebook="n.ipynb", session="k", name="step", source=source, execution_count=1)
    return StepTask(
        token=uuid.uuid4().hex,
        run=1,
        step=1,
        name="step",
        request=request.to_dict(),
        resources=Resources(cpu=cpu, memory=memory, gpu=gpu),
    )


def outputs(messages: Sequence[Message]) -> str:
    """All text of the standard streams."""
    contents = [each["message"] for each in messages if each["kind"] == "output"]
    return "".join(each["text"] for each in contents if each["type"] == "stream")


class Inbox:
    """A listener that keeps every message, and the loop on which it came."""

    def __init__(self) -> None:
        self.messages: defaultdict[str, list[Message]] = defaultdict(list)
        self.loops: set[asyncio.AbstractEventLoop] = set()
        self._arrived = asyncio.Event()

    def listen(self, token: str, messages: list[Message]) -> None:
        self.loops.add(asyncio.get_running_loop())
        self.messages[token] += messages
        self._arrived.set()

    async def finished(self, task: StepTask) -> Message:
        """The task's last message."""
        return await self.saw(task, "finished")

    async def saw(self, task: StepTask, kind: str) -> Message:
        """The task's first message of a kind, waited for."""
        async with asyncio.timeout(_DEADLINE):
            while True:
                for each in self.messages.get(task.token, ()):
                    if each["kind"] == kind:
                        return each
                self._arrived.clear()
                await self._arrived.wait()

    def order(self, tasks: Sequence[StepTask]) -> list[StepTask]:
        """The tasks as they started."""
        return sorted(tasks, key=lambda task: self._time(task, "started"))

    def most_at_once(self, tasks: Sequence[StepTask]) -> int:
        """How many ran at the same time at most, by their own clocks."""
        spans = [(self._time(task, "started"), self._time(task, "finished")) for task in tasks]
        return max(sum(begin <= moment < end for begin, end in spans) for moment, _ in spans)

    def _time(self, task: StepTask, kind: str) -> Any:
        return next(each["time"] for each in self.messages[task.token] if each["kind"] == kind)
