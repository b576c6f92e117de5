"""Following: what is known of a step from its events so far, and showing what it shows."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from cellyard.errors import CellyardError
from kernel_magics.live_output import LiveOutput

if TYPE_CHECKING:
    from cellyard.service.client import StepStream
    from kernel_magics.live_view import LiveView

__all__ = ["TICK", "Following"]

TICK = 0.5
"""Seconds after which something is done although nothing has happened."""


class Following:
    """One step; ``finished`` is its end, once it has come. ``replay`` shows what happened before it was followed."""

    def __init__(self, stream: StepStream, output: LiveOutput, *, replay: LiveOutput | None = None) -> None:
        self.stream = stream
        self._replay = replay
        self._began = time.time()
        self._question: Mapping[str, Any] | None = None
        self.output = output
        self.view: LiveView | None = None
        self.finished: Mapping[str, Any] | None = None
        self.worker = "?"

    @property
    def run(self) -> int | None:
        """The run, once the step has been accepted."""
        return self.stream.run

    def begin(self) -> None:
        """Return when the step has been accepted. Raises what the engine refuses."""
        self._take(self.stream.poll(None))

    def follow(self) -> None:
        """Show what comes, to the end; KeyboardInterrupt at any point loses nothing but that event."""
        while self.finished is None:
            self._take(self.stream.poll(TICK))
        self._end()

    def _end(self) -> None:
        """The end of the stream, which comes with that of the step: the connection then serves the next one."""
        with contextlib.suppress(CellyardError):  # an engine that left at this moment; nothing is missing
            self.stream.poll(TICK)
        if not self.stream.ended:
            self.stream.close()

    def advance(self, most: int) -> bool:
        """Show what has come, at most that many events; True when there may be more. Waits for nothing."""
        for _ in range(most):
            event = self.stream.poll(0)
            self._take(event)
            if event is None:
                return False
        return True

    def _show(self, event: Mapping[str, Any]) -> None:
        content = event["content"]
        if self._replay is None or event["time"] >= self._began:
            self._question = None
            self.output.show(content)
            return
        if content["type"] != "comm":
            self._question = content if content["type"] == "input_request" else None
        self._replay.show(content)

    def _ask_now(self) -> None:
        """All that has happened has been shown, and the last of it was a question: the step waits for the answer."""
        question, self._question = self._question, None
        if question is not None:
            self.output.show(question)

    def _take(self, event: Mapping[str, Any] | None) -> None:
        if event is None:
            if self.stream.ended:
                if self.finished is None:
                    raise CellyardError("the engine ended the step's events without its end")
                return
            self._ask_now()
            if self.view is not None:
                self.view.tick()
            return
        kind, content = event["kind"], event["content"]
        if kind == "accepted" and content.get("reused"):
            text = f"note: nothing has changed since run {content['reused']}: its result is taken\n"
            self.output.show({"type": "stream", "name": "stderr", "text": text})
        elif kind == "output":
            self._show(event)
        elif kind == "state":
            self.worker = content.get("worker") or self.worker
        elif kind == "finished":
            self.finished = {**content, "run": event["run"]}
        if self.view is not None:
            self._look(self.view, event)

    def _look(self, view: LiveView, event: Mapping[str, Any]) -> None:
        view.note(event)
        view.tick()
        if self.finished is not None:
            view.end()
