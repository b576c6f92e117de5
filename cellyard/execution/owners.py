"""Owners: tells when a process that owns a run has ended, however it ended."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable

__all__ = ["Owners", "is_alive"]

_PERIOD = 1.0


class Owners:
    """Watches processes, on the loop that called :meth:`watch`."""

    def __init__(self, on_end: Callable[[int], None]) -> None:
        self._on_end = on_end
        self._watched: dict[int, Callable[[], None]] = {}

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, run: int, pid: int) -> None:
        """Call ``on_end(run)`` once when the process has ended; soon, if it already has."""
        loop = asyncio.get_running_loop()
        try:
            descriptor = os.pidfd_open(pid)
        except ProcessLookupError:
            self._watched[run] = loop.call_soon(self._ended, run).cancel
        except (AttributeError, OSError):
            self._poll(run, pid)
        else:
            loop.add_reader(descriptor, self._ended, run)
            self._watched[run] = lambda: _stop_reading(loop, descriptor)

    def forget(self, run: int) -> None:
        """Watch no more for this run."""
        stop = self._watched.pop(run, None)
        if stop is not None:
            stop()

    def close(self) -> None:
        """Watch nothing any more."""
        for run in list(self._watched):
            self.forget(run)

    def _ended(self, run: int) -> None:
        self.forget(run)
        self._on_end(run)

    def _poll(self, run: int, pid: int) -> None:
        """Where the system has no descriptors of processes (macOS)."""
        if not is_alive(pid):
            self._ended(run)
            return
        handle = asyncio.get_running_loop().call_later(_PERIOD, self._poll, run, pid)
        self._watched[run] = handle.cancel


def is_alive(pid: int | None) -> bool:
    """Whether a process of this id exists."""
    if not pid:
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _stop_reading(loop: asyncio.AbstractEventLoop, descriptor: int) -> None:
    with contextlib.suppress(OSError):
        loop.remove_reader(descriptor)
        os.close(descriptor)
