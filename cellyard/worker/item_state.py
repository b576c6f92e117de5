"""LaneState: what a process that runs items does now, and what its item holds, in memory that its parent shares."""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import struct
import time
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

__all__ = ["LaneState", "largest_of"]

Objects = list[dict[str, Any]]

_SIZE = 1 << 14
_NOW = struct.Struct("qd")
"""The item's index, and since when."""
_ANSWER = struct.Struct("QQ")
"""How many answers there have been, and how long the last one is."""
_NOTHING = -1
_ASK = signal.SIGURG
"""Without a handler it does nothing."""
_PATIENCE, _PAUSE = 0.2, 0.002
"""Seconds: one call of the item's may hold its interpreter."""


class LaneState:
    """Of one process, made before it is forked."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _SIZE)
        _NOW.pack_into(self._memory, 0, _NOTHING, 0.0)

    @property
    def now(self) -> tuple[int | None, float]:
        """The item that runs, None before the first, and since when."""
        index, since = _NOW.unpack_from(self._memory)
        return None if index == _NOTHING else int(index), float(since)

    @now.setter
    def now(self, index: int) -> None:
        _NOW.pack_into(self._memory, 0, index, time.monotonic())

    # -- in the process itself

    def answer_with(self, largest: Callable[[FrameType | None], Objects]) -> None:
        """From now on it answers what its item holds; ``largest`` is given the frame where it is asked."""

        def answer(_: int, frame: FrameType | None) -> None:
            try:
                found = largest(frame)
            except Exception:  # noqa: BLE001 - of the user's objects: nothing is known of them then
                found = []
            while len(data := json.dumps(found).encode()) > _SIZE - _NOW.size - _ANSWER.size:
                found.pop()
            count, _length = _ANSWER.unpack_from(self._memory, _NOW.size)
            at = _NOW.size + _ANSWER.size
            self._memory[at : at + len(data)] = data
            _ANSWER.pack_into(self._memory, _NOW.size, count + 1, len(data))

        signal.signal(_ASK, answer)
        signal.siginterrupt(_ASK, False)

    # -- in its parent

    @property
    def answers(self) -> int:
        """How many there have been."""
        return int(_ANSWER.unpack_from(self._memory, _NOW.size)[0])

    def answer(self) -> Objects:
        """The last one."""
        _, length = _ANSWER.unpack_from(self._memory, _NOW.size)
        at = _NOW.size + _ANSWER.size
        found: Objects = json.loads(self._memory[at : at + length])
        return found


def largest_of(lanes: Sequence[tuple[int, LaneState]]) -> Objects:
    """The largest objects of the items that these processes run, of those that answer at once."""
    waiting = [(pid, state, state.answers) for pid, state in lanes]
    found: Objects = []
    for pid, _, _ in waiting:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, _ASK)
    deadline = time.monotonic() + _PATIENCE
    while waiting and time.monotonic() < deadline:
        time.sleep(_PAUSE)
        for each in [each for each in waiting if each[1].answers > each[2]]:
            found += each[1].answer()
            waiting.remove(each)
    return found
