"""What tests of the pool share: steps of one line, run in a real pool, and the messages that they sent."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from cellyard.artifacts import load, open_store
from cellyard.model.resources import Resources
from cellyard.model.step import StepRequest
from cellyard.model.step_line import parse_step_line
from cellyard.worker.ahead import seal
from cellyard.worker.pool import StepPool

__all__ = ["Ran", "Stepper"]

_DEADLINE = 30.0
Message = dict[str, Any]


class Ran:
    """A step that runs, or has run."""

    def __init__(self, token: str) -> None:
        self.token = token
        self.messages: list[Message] = []
        self.done: asyncio.Task[None] | None = None
        self._arrived = asyncio.Event()

    def emit(self, messages: list[Message]) -> None:
        self.messages += messages
        self._arrived.set()

    async def saw(self, wanted: Callable[[Message], bool]) -> Message:
        """The first message that is wanted, waited for."""
        async with asyncio.timeout(_DEADLINE):
            while True:
                for each in self.messages:
                    if wanted(each):
                        return each
                self._arrived.clear()
                await self._arrived.wait()

    async def printed(self, text: str) -> None:
        """Return once the step has printed this text."""
        await self.saw(lambda _: text in self.text())

    async def end(self) -> Ran:
        """Wait until the pool is through with it."""
        assert self.done is not None
        async with asyncio.timeout(_DEADLINE):
            await self.done
        return self

    @property
    def finished(self) -> Message:
        return self.messages[-1]

    @property
    def pid(self) -> int:
        return next(int(each["pid"]) for each in self.messages if each["kind"] == "started")

    def shown(self) -> list[dict[str, Any]]:
        return [each["message"] for each in self.messages if each["kind"] == "output"]

    def text(self, *streams: str) -> str:
        """What it wrote to these streams; to any, if none is named."""
        wanted = streams or ("stdout", "stderr")
        return "".join(m["text"] for m in self.shown() if m["type"] == "stream" and m["name"] in wanted)


class Stepper:
    """Runs cells in a pool."""

    def __init__(self, pool: StepPool, store: str) -> None:
        self.pool = pool
        self.store = open_store(store)

    def start(
        self,
        source: str,
        *,
        cpu: float = 1.0,
        memory: int | None = None,
        line: str = "",
        inputs: tuple[dict[str, Any], ...] = (),
        packages: tuple[str, ...] = (),
        private: Mapping[str, Any] | None = None,
        environment: Mapping[str, Any] | None = None,
        asked: Mapping[str, Any] | None = None,
    ) -> Ran:
        """Begin a step of this source; ``asked`` is what its request has beside that."""
        request = StepRequest(
            notebook="n.ipynb",
            session="k",
            name="step",
            source=source,
            execution_count=7,
            options=parse_step_line(line),
            inputs=inputs,
            packages=packages,
            environment=dict(environment) if environment is not None else None,
            private="" if private is None else _sealed(dict(private), is_elsewhere=environment is not None),
        )
        task: dict[str, Any] = {
            "token": uuid.uuid4().hex,
            "run": 1,
            "step": 1,
            "name": "step",
            "request": request.to_dict() | dict(asked or {}),
            "resources": Resources(cpu=cpu, memory=memory).to_dict(),
        }
        ran = Ran(task["token"])
        ran.done = asyncio.create_task(self.pool.run(task, ran.emit))
        return ran

    async def run(self, source: str, **options: Any) -> Ran:
        """Run a step to its end."""
        return await self.start(source, **options).end()

    def values(self, ran: Ran) -> dict[str, Any]:
        """What the step made."""
        found: dict[str, Any] = {}
        for reference in ran.finished["outputs"]:
            found |= self.loaded(reference)
        return found

    def loaded(self, reference: Mapping[str, Any]) -> dict[str, Any]:
        """The values of one artifact."""
        return load(self.store, reference, {"__name__": "__main__"})


def _sealed(private: dict[str, Any], *, is_elsewhere: bool) -> str:
    state = private.pop("state", {})
    return seal(private, state, is_elsewhere=is_elsewhere)
