"""Reader: the one thread that reads the events of all steps that nobody waits for."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from typing import Protocol

from kernel_magics.following import TICK

__all__ = ["Reader"]

_AT_ONCE = 200
"""Events of one step that are shown before others have their turn."""


class Read(Protocol):
    """What the reader carries on."""

    def fileno(self) -> int:
        """What tells that there is something to read; -1: look."""

    def advance(self, most: int) -> bool:
        """Take what has come, at most that many events; True when there is more. Never raises."""

    @property
    def is_over(self) -> bool:
        """Whether there is nothing left to read."""


class Reader:
    """The thread lives as long as there is something to follow."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followed: list[Read] = []
        self._thread: threading.Thread | None = None
        self._woken, self._wake = -1, -1

    def add(self, followed: Read) -> None:
        """Follow this one too."""
        with self._lock:
            self._followed.append(followed)
            if self._thread is None:
                self._woken, self._wake = os.pipe()
                self._thread = threading.Thread(target=self._read, name="cellyard-reader", daemon=True)
                self._thread.start()
            else:
                os.write(self._wake, b"x")

    def _read(self) -> None:
        more: set[int] = set()
        while followed := self._remaining():
            ready = self._wait(followed, 0 if more else TICK)
            more = {id(each) for each in followed if (id(each) in more or ready(each)) and each.advance(_AT_ONCE)}

    def _remaining(self) -> list[Read]:
        with self._lock:
            self._followed = [each for each in self._followed if not each.is_over]
            if not self._followed:
                # Whoever comes next starts another thread, with a pipe of its own.
                self._thread = None
                os.close(self._woken)
                os.close(self._wake)
            return list(self._followed)

    def _wait(self, followed: list[Read], seconds: float) -> Ready:
        poller = select.poll()
        poller.register(self._woken, select.POLLIN)
        numbers = {id(each): each.fileno() for each in followed}
        for number in numbers.values():
            if number < 0:
                seconds = 0
            else:
                poller.register(number, select.POLLIN)
        found = {number for number, _ in poller.poll(seconds * 1000)}
        if self._woken in found:
            with contextlib.suppress(BlockingIOError):
                os.read(self._woken, 1024)
        return Ready(numbers, found)


class Ready:
    """Which of those that are followed have something to read, or may need a word after a while without."""

    def __init__(self, numbers: dict[int, int], found: set[int]) -> None:
        self._numbers = numbers
        self._found = found

    def __call__(self, each: Read) -> bool:
        return not self._found or self._numbers[id(each)] < 0 or self._numbers[id(each)] in self._found
