"""EventStream: the engine's events as an iterator that outlives broken connections. Light.

An event is a dictionary: ``seq``, ``run``, ``step`` (name), ``step_id``, ``attempt``, ``time`` (seconds since
1970), ``kind`` (accepted, state, output, memory, finished) and ``content``.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from cellyard.errors import EngineUnavailable
from cellyard.service.wire import Broken, Connection, Response

__all__ = ["MOST_BREAKS", "EventStream", "Opened"]

Opened = tuple[Connection, Response]
MOST_BREAKS = 5
"""So many engines or connections that end one after the other are survived; then it is said that none answers."""


class EventStream(Iterator[dict[str, Any]]):
    """Events in order, each once. After a broken connection, or an engine that ended, it goes on after the
    last event that was seen, with the engine that then answers.

    Interrupting ``next`` (KeyboardInterrupt) loses nothing: call it again. ``seq`` is the number of the last
    event seen.
    """

    def __init__(self, open_at: Callable[[int], Opened], release: Callable[[Connection], None], *, since: int):
        self.seq = since
        self._open_at = open_at
        self._release = release
        self._opened: Opened | None = None
        self._buffer = bytearray()
        self._ended = False
        self._breaks = 0

    def __next__(self) -> dict[str, Any]:
        event = self.poll(None)
        if event is None:
            raise StopIteration
        return event

    def poll(self, seconds: float | None) -> dict[str, Any] | None:
        """The next event. None at the end of the stream (``ended``), or when nothing came for that many seconds; with
        None there is no such limit. Connecting, at the beginning and after a break, takes the time that it takes."""
        try:
            while not self._ended:
                event = self._take()
                if event is not None:
                    self._breaks = 0
                    # Between this and the caller nothing is called, so no Ctrl-C comes in between.
                    self.seq = event["seq"]
                    return event
                if self._ended or not self._has_more(seconds):
                    return None
                self._read()
        except KeyboardInterrupt:
            self._forget()
            raise
        return None

    @property
    def ended(self) -> bool:
        """Whether no event will come any more."""
        return self._ended

    def fileno(self) -> int:
        """The socket that tells when there may be something to :meth:`poll`; another one after each break. -1: there is
        none now, and the next poll connects."""
        try:
            return -1 if self._opened is None else self._opened[0].fileno()
        except Broken:
            return -1

    def __enter__(self) -> EventStream:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop following, also when another thread waits for the next event. The run itself goes on."""
        self._ended = True
        opened, self._opened = self._opened, None
        if opened is not None:
            opened[0].close()

    def _has_more(self, seconds: float | None) -> bool:
        """Whether reading would find something within that time. Connects."""
        if seconds is None:
            return True
        try:
            return self._connected()[0].wait(seconds)
        except Broken as error:
            self._start_over(error)
            return True

    def _forget(self) -> None:
        """Nobody knows at which point of reading it was interrupted: what comes after the last event that was given is
        asked for anew."""
        opened, self._opened, self._buffer = self._opened, None, bytearray()
        if opened is not None:
            opened[0].close()

    def _connected(self) -> Opened:
        self._opened = self._opened or self._open_at(self.seq)
        return self._opened

    def _read(self) -> None:
        try:
            piece = self._connected()[1].piece()
        except Broken as error:
            self._start_over(error)
            return
        if piece:
            self._buffer += piece
        else:
            self._start_over(Broken("the engine is leaving"))

    def _start_over(self, error: Broken) -> None:
        """An engine that stops, or a lost connection: the rest comes over a new one."""
        self._opened = None
        if self._ended:
            return
        self._buffer.clear()
        self._breaks += 1
        if self._breaks > MOST_BREAKS:
            raise EngineUnavailable(waited=f"{self._breaks} attempts", log=str(error)) from error

    def _take(self) -> dict[str, Any] | None:
        """The next whole event in the buffer; None when more must be read. Notices the end of the stream."""
        while (end := self._buffer.find(b"\n\n")) >= 0:
            block = bytes(self._buffer[:end])
            del self._buffer[: end + 2]
            kind, data = _fields(block)
            if kind == b"end":
                self._finish()
                return None
            if data:
                event: dict[str, Any] = json.loads(data)
                return event
        return None

    def _finish(self) -> None:
        """Read the few bytes after the last event, so that the connection serves the next request."""
        self._ended = True
        if self._opened is None:
            return
        connection, response = self._opened
        self._opened = None
        try:
            response.read()
        except Broken:
            return
        self._release(connection)


def _fields(block: bytes) -> tuple[bytes, bytes]:
    """The event's kind and data; both empty for a comment (the engine's sign of life)."""
    kind = data = b""
    for line in block.split(b"\n"):
        if line.startswith(b"event: "):
            kind = line[7:]
        elif line.startswith(b"data: "):
            data = line[6:]
    return kind, data
