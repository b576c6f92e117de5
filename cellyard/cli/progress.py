"""Progress: how far a notebook has come."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellyard.model import Resources, format_duration, format_memory

__all__ = ["Progress"]

Json = Mapping[str, Any]


class Progress:
    """What is known of a notebook's execution. Told by the cells' thread and by the events' thread."""

    def __init__(self, path: Path, sources: Mapping[int, str]) -> None:
        self.path = path
        self.run = 0
        self.state = "running"
        self.error: dict[str, Any] | None = None
        self.interrupted = False
        self.began = time.monotonic()
        self.traceback = ""
        self.lines: list[str] = []
        self._sources = dict(sources)
        self._done: set[int] = set()
        self._current: int | None = None
        self._steps: dict[int, dict[str, Any]] = {}
        self._lock = threading.Lock()

    # -- what happens

    def cell_started(self, index: int) -> None:
        self._current = index

    def cell_done(self, index: int) -> None:
        self._current = None
        self._done.add(index)

    def failed(self, index: int, kind: str, message: str, traceback: str) -> None:
        """A cell raised: nothing after it runs."""
        self._current = None
        self.state = "failed"
        self.error = {"type": kind, "message": message, "cell": index}
        self.traceback = traceback

    def ended(self, *, stopped: bool) -> None:
        """No further cell runs."""
        if stopped:
            self.state = "cancelled"
        elif self.state == "running":
            self.state = "succeeded"

    def event(self, event: Json) -> None:
        """Something happened to a step of the run."""
        if event["step_id"] is None:
            return
        with self._lock:
            line = self._apply(event)
        if line:
            self.say(f"step {event['step']}: {line}")

    def say(self, text: str) -> None:
        """A sentence for the user."""
        self.lines.append(text)

    def _apply(self, event: Json) -> str:
        kind, content = event["kind"], event["content"]
        step = self._steps.setdefault(event["step_id"], {"name": event["step"], "state": "queued"})
        if kind == "accepted":
            step |= {"resources": content["resources"], "state": content["state"]}
            return ""
        if kind == "state":
            step |= {"state": content["state"], "began": event["time"]}
            return f"{content['state']} on {Resources.from_dict(step['resources'])}"
        if kind == "output" and step["state"] == "queued":
            # Before it runs it can print nothing itself: this says why it waits.
            return str(content.get("text", "")).strip()
        if kind == "memory":
            step["peak_memory"] = content["peak"]
            return ""
        if kind == "finished":
            keys = ("state", "seconds", "peak_memory", "outputs")
            step |= {key: content[key] for key in keys}
            return _ended(content)
        return ""

    # -- what is seen

    def headline(self) -> str:
        """Where it is now, in one line."""
        took = format_duration(round(time.monotonic() - self.began, 1))
        place = f"{len(self._done)} of {len(self._sources)} cells"
        if self._current is not None:
            first = self._sources[self._current].strip().splitlines()[0]
            return f"{place}, {took}   {first[:80]}"
        return f"{place}, {took}"

    def steps(self) -> list[dict[str, Any]]:
        """The steps so far, as rows of a table."""
        with self._lock:
            return [_with_seconds(step) for step in self._steps.values()]


def _ended(content: Json) -> str:
    if content.get("reused"):
        return f"reused from run {content['reused']}"
    peak = f", {format_memory(content['peak_memory'])} at its peak" if content["peak_memory"] else ""
    return f"{content['state']} after {format_duration(content['seconds'])}{peak}"


def _with_seconds(step: dict[str, Any]) -> dict[str, Any]:
    if step["state"] == "running":
        return step | {"seconds": time.time() - step["began"]}
    return dict(step)
