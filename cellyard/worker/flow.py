"""Flow: how much of a step's output leaves its worker. Of what is more, the beginning and the end."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Mapping
from typing import Any

__all__ = ["DEFAULT_LIMIT", "OutputFlow"]

Message = dict[str, Any]

DEFAULT_LIMIT = 8 << 20
"""Bytes of text that a step may show, unless its request says otherwise."""
_DISPLAYS = 8
"""Figures and tables together may have this many times as much, and so may messages of widgets."""
_DISPLAYED = ("display_data", "update_display_data", "execute_result", "error", "clear_output")
_LEAST = 64
"""Bytes that any message takes."""
_GLANCE = 2000
_GLANCE_SECONDS = 0.5


class OutputFlow:
    """The output of one step on its way. Pure, but for the clock.

    Text beyond seven eighths of the limit waits; of what waits, the last eighth is sent when the step ends. Meanwhile
    a glance at the newest text is sent now and then, which nobody keeps.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit or DEFAULT_LIMIT
        self._left = self._limit - self._limit // 8
        self._left_for_displays = self._limit * _DISPLAYS
        self._tail: deque[tuple[str, str]] = deque()
        self._waiting = 0
        self._cut = 0
        self._told: set[str] = set()
        self._display: Message | None = None
        self._left_for_widgets = self._limit * _DISPLAYS
        self._widgets: dict[tuple[str, ...], Message] = {}
        self._glanced = 0.0

    def take(self, message: Message) -> list[Message]:
        """What to send now that the step has shown this."""
        kind = message["type"]
        if kind == "stream":
            return self._text(message["name"], message["text"])
        if kind in _DISPLAYED:
            return self._shown(message)
        if kind == "comm":
            return self._of_widget(message)
        return [_output(message)]

    def end(self) -> list[Message]:
        """What is left to be sent when the step has ended."""
        last = []
        if self._tail:
            last.append(_note(f"{self._cut - self._waiting:,} characters are left out here"))
            last += [_output({"type": "stream", "name": name, "text": text}) for name, text in self._tail]
        if self._display is not None:
            last.append(_output(self._display))
        last += map(_output, self._widgets.values())
        self._tail.clear()
        self._display = None
        self._widgets.clear()
        return last

    def _text(self, name: str, text: str) -> list[Message]:
        if not self._cut and len(text) <= self._left:
            self._left -= len(text)
            return [_output({"type": "stream", "name": name, "text": text})]
        sent: list[Message] = []
        if not self._cut:
            sent = [
                _output({"type": "stream", "name": name, "text": text[: self._left]}),
                _note("this is more output than is kept: its middle is left out, its end comes when the step ends"),
            ]
            text = text[self._left :]
        self._keep(name, text)
        now = time.monotonic()
        if now - self._glanced >= _GLANCE_SECONDS:
            self._glanced = now
            sent.append({"kind": "glance", "text": text[-_GLANCE:], "left_out": self._cut})
        return sent

    def _keep(self, name: str, text: str) -> None:
        most = self._limit // 8
        self._cut += len(text)
        self._tail.append((name, text[-most:]))
        self._waiting += len(self._tail[-1][1])
        while self._waiting > most:
            name, first = self._tail.popleft()
            self._waiting -= len(first)
            if self._waiting < most:
                kept = first[self._waiting - most :]
                self._tail.appendleft((name, kept))
                self._waiting += len(kept)

    def _shown(self, message: Message) -> list[Message]:
        size = max(_LEAST, _size(message.get("data", message)))
        if size <= self._left_for_displays:
            self._left_for_displays -= size
            return [_output(message)]
        if message["type"] != "clear_output":
            self._display = message
        return self._told_once("these are more figures than are kept: the last one comes when the step ends")

    def _of_widget(self, message: Message) -> list[Message]:
        """Beyond their limit only the newest of each kind of update is kept: the widget comes to its last state."""
        size = max(_LEAST, _size(message))
        if size <= self._left_for_widgets:
            self._left_for_widgets -= size
            return [_output(message)]
        content = message["content"]
        if content["data"].get("method") == "update":
            kind = (content["comm_id"], *sorted(content["data"].get("state") or ()))
            self._widgets.pop(kind, None)
            self._widgets[kind] = message
        return self._told_once("these are more changes of widgets than are kept: their last state comes at the end")

    def _told_once(self, text: str) -> list[Message]:
        if text in self._told:
            return []
        self._told.add(text)
        return [_note(text)]


def _size(value: Any) -> int:
    """About how many bytes it takes on its way."""
    if isinstance(value, str):
        return len(value)
    if isinstance(value, Mapping):
        return sum(map(_size, value.values()))
    if isinstance(value, list | tuple):
        return sum(map(_size, value))
    return 8


def _output(message: Mapping[str, Any]) -> Message:
    return {"kind": "output", "message": dict(message)}


def _note(text: str) -> Message:
    return _output({"type": "stream", "name": "stderr", "text": f"\nnote: {text}\n"})
