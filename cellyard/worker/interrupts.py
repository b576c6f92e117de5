"""Interrupts of a running cell: SIGINT becomes KeyboardInterrupt there and nowhere else, and is never lost.

Python only notes a signal and acts between two of its own instructions. One that comes in the moment before a system
call begins is acted upon when that call ends, a minute later if it is ``sleep(60)``. So a thread is told of every
signal, and nudges the main thread out of its system call.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

__all__ = ["hold_interrupts", "interruptible"]

_NUDGE = signal.SIGURG
_NUDGES_AFTER = (0.01, 0.04, 0.2)


def hold_interrupts() -> None:
    """Get ready for :func:`interruptible`; SIGINT must be blocked already, and stays so. To be called once."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(_NUDGE, lambda *_: None)
    told, tell = os.pipe()
    os.set_blocking(tell, False)
    signal.set_wakeup_fd(tell, warn_on_full_buffer=False)
    threading.Thread(target=_nudge, args=(told, threading.get_ident()), name="step-interrupts", daemon=True).start()


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """SIGINT raises KeyboardInterrupt inside this block, at once where one is pending, and never again after it."""
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.SIG_IGN)


def _nudge(told: int, main: int) -> None:
    while number := os.read(told, 1):
        if number[0] == signal.SIGINT:
            for pause in _NUDGES_AFTER:
                time.sleep(pause)
                signal.pthread_kill(main, _NUDGE)
