"""ItemTape: what items show, kept where it outlives the process that runs them."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Mapping
from typing import Any

from cellyard.worker.flow import OutputFlow

__all__ = ["ItemTape"]

Message = dict[str, Any]

_READ = 1 << 20
_LAST = 300
"""Characters of the newest text, for the table."""
_MARK = b"\xff"
"""Before each change of what follows; in no text as UTF-8. Then: an item's number, a message, text of a stream."""
_ITEM, _MESSAGE = b"i", b"m"
_STREAMS = {"stdout": b"o", "stderr": b"e"}
_NAMES = {kind: name for name, kind in _STREAMS.items()}


class ItemTape:
    """The messages of the items that one process runs, in a file in memory that its parent has, too. ``limit``: how
    much text of an item is kept; of more, its beginning and its end."""

    def __init__(self, limit: int | None) -> None:
        self._file = os.memfd_create("cellyard-items", os.MFD_CLOEXEC)
        self._limit = limit
        self._lock = threading.Lock()
        self._flow = OutputFlow(limit)
        self._kind = b""
        self.last = ""

    # -- in the process that runs items

    def begin(self, index: int) -> None:
        """What comes now is of this item."""
        self._lock = threading.Lock()  # a thread of the item before may hold the other
        self._flow = OutputFlow(self._limit)
        self.last = ""
        self._write(_ITEM, str(index))

    def take(self, message: Mapping[str, Any]) -> None:
        """An output message of the item."""
        with self._lock:
            if message["type"] == "stream":
                self.last = (self.last + message["text"][-_LAST:])[-_LAST:]
            self._keep(self._flow.take(dict(message)))

    def end(self) -> None:
        """The item has ended."""
        with self._lock:
            self._keep(self._flow.end())

    def _keep(self, sent: list[Message]) -> None:
        for each in sent:
            if each["kind"] != "output":  # a glance, which nobody keeps
                continue
            message = each["message"]
            if message["type"] == "stream":
                self._write(_STREAMS[message["name"]], message["text"])
            else:
                self._write(_MESSAGE, json.dumps(message))

    def _write(self, kind: bytes, text: str) -> None:
        """At once, so that it is there whatever happens next."""
        data = text.encode(errors="surrogatepass")
        is_more = kind == self._kind and kind in _NAMES
        os.write(self._file, data if is_more else _MARK + kind + data)
        self._kind = kind

    # -- in its parent

    def read(self) -> dict[int, list[Message]]:
        """The messages by item, in the order in which the items ran; the tape is empty then."""
        os.lseek(self._file, 0, os.SEEK_SET)
        data = b"".join(iter(lambda: os.read(self._file, _READ), b""))
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        found: dict[int, list[Message]] = {}
        messages: list[Message] = []
        for part in data.split(_MARK)[1:]:
            kind, text = part[:1], part[1:].decode(errors="surrogatepass")
            if kind == _ITEM:
                messages = found[int(text)] = []
            elif kind == _MESSAGE:
                messages.append(json.loads(text))
            else:
                messages.append({"type": "stream", "name": _NAMES[kind], "text": text})
        return {index: _uncleared(messages) for index, messages in found.items()}

    def close(self) -> None:
        """Nothing more is read."""
        os.close(self._file)


def _uncleared(messages: list[Message]) -> list[Message]:
    """Without what the item itself has cleared away; what others have shown stays."""
    kept: list[Message] = []
    is_waiting = False
    for each in messages:
        if is_waiting and each["type"] != "clear_output":
            kept.clear()
            is_waiting = False
        if each["type"] != "clear_output":
            kept.append(each)
        elif each["wait"]:
            is_waiting = True
        else:
            kept.clear()
    return kept
