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


class ItemTape:
    """The messages of the items that one process runs, in a file in memory that its parent has, too. ``limit``: how
    much text of an item is kept; of more, its beginning and its end."""

    def __init__(self, limit: int | None) -> None:
        self._file = os.memfd_create("cellyard-items", os.MFD_CLOEXEC)
        self._limit = limit
        self._flow = OutputFlow(limit)
        self._lock = threading.Lock()
        self.last = ""

    # -- in the process that runs items

    def begin(self, index: int) -> None:
        """What comes now is of this item."""
        self._lock = threading.Lock()  # a thread of the item before may hold the other
        self._flow = OutputFlow(self._limit)
        self.last = ""
        self._write({"item": index})

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
            if each["kind"] == "output":  # and no glance
                self._write(each["message"])

    def _write(self, record: Message) -> None:
        os.write(self._file, json.dumps(record).encode() + b"\n")

    # -- in its parent

    def read(self) -> dict[int, list[Message]]:
        """The messages by item, in the order in which the items ran; the tape is empty then."""
        os.lseek(self._file, 0, os.SEEK_SET)
        data = b"".join(iter(lambda: os.read(self._file, _READ), b""))
        os.ftruncate(self._file, 0)
        os.lseek(self._file, 0, os.SEEK_SET)
        found: dict[int, list[Message]] = {}
        messages: list[Message] = []
        for line in data.split(b"\n")[:-1]:  # what is behind the last one was not written to its end
            record = json.loads(line)
            if "item" in record:
                messages = found[record["item"]] = []
            else:
                messages.append(record)
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
