"""Lock file: something that one live process at a time may have.

The lock is the operating system's, on the file, so it goes with its holder however that ends. The file stays, because
removing it would let two processes lock two different files; what it says is for those who look.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path

__all__ = ["LockFile"]

_MOST_BYTES = 500


class LockFile:
    """The lock on ``path``, not had yet. OSErrors are the caller's to explain."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._file: int | None = None

    def acquire(self, note: str) -> bool:
        """Take the lock and write who has it, without waiting; False when another live process has it."""
        # Never inherited by children (O_CLOEXEC is Python's default): the lock would outlive its holder.
        file = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(file, 0)
            os.pwrite(file, note.encode(), 0)
        except BlockingIOError:
            os.close(file)
            return False
        except OSError:
            os.close(file)
            raise
        self._file = file
        return True

    def note(self) -> str:
        """What the last one who had the lock wrote; "" from one who has only just taken it."""
        with self._path.open("rb") as file:
            return file.read(_MOST_BYTES).decode(errors="replace")

    def release(self) -> None:
        """Let go."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
