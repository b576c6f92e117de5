"""Logging cells: what plain cells log with ``cellyard.log_metric`` and its like goes to the run that they belong to.

That is the run of the whole notebook, where one drives this kernel; else that of the step that ran last; before any
step, a run of its own.
"""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Any

from cellyard import logged

if TYPE_CHECKING:
    from kernel_magics.session import Session

__all__ = ["CellLog"]

_MOST_WAITING = 500
_LONGEST_WAIT = 1.0


class CellLog:
    """One kernel's plain cells. Entries are sent together: when the cell ends, and each second in a long one."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._lock = threading.Lock()
        self._waiting: list[dict[str, Any]] = []
        self._sent = 0.0
        self.run: int | None = None

    def install(self) -> None:
        """From now on this process's entries come here."""
        logged.use(self.add)

    def remove(self) -> None:
        """Send what waits, and take no more."""
        logged.use(None)
        self.flush()

    def add(self, entry: dict[str, Any]) -> None:
        with self._lock:
            self._waiting.append(entry)
            is_due = len(self._waiting) >= _MOST_WAITING or time.monotonic() - self._sent > _LONGEST_WAIT
        if is_due:
            self.flush()

    def flush(self, _result: Any = None) -> None:
        """Send what waits. Raises what the engine says; the entries are then kept for the next time."""
        with self._lock:
            waiting, self._waiting = self._waiting, []
            if not waiting:
                return
            self._sent = time.monotonic()
            try:
                self._send(waiting)
            except BaseException:
                self._waiting = waiting + self._waiting
                raise

    def _send(self, entries: list[dict[str, Any]]) -> None:
        session, identity = self._session, self._session.identity
        run = identity.run or self.run
        origin = session.origin()
        self.run = session.client.log(
            entries,
            run=run,
            notebook=identity.notebook,
            session=identity.session,
            owner=origin.owner,
            commit=origin.commit,
        )
