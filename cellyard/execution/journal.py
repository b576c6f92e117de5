"""Journal: the one thread that writes and reads the records, and the events on their way into them.

Everything that touches the database goes through here, in order, off the event loop. Events are told before
they are written: they wait here (at most :data:`PERIOD`) and are written together; nothing is committed before
the events that came earlier. What cannot be written because another process holds the database is kept.
"""

from __future__ import annotations

import asyncio
import logging
import math
import queue
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from cellyard.errors import RecordsError, RecordsLocked, Unrecordable
from cellyard.execution.hub import Event, EventFilter

if TYPE_CHECKING:
    from cellyard.records import Records

__all__ = ["PERIOD", "Journal", "can_pass"]

PERIOD = 0.02
"""Seconds that an event may wait to be written with others."""
_RETRY_PAUSE = 0.5

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class Journal:
    """The records of one engine. Belongs to the event loop on which :meth:`start` was called."""

    def __init__(self, open_records: Callable[[], Records]) -> None:
        self._open_records = open_records
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="cellyard-records", daemon=True)
        self._records: Records | None = None
        self._waiting: list[Event] = []
        self._backlog: deque[Callable[[Records], Any]] = deque()
        self._soon: deque[tuple[asyncio.TimerHandle, Callable[[Records], Any]]] = deque()
        self._locked: tuple[float, RecordsLocked | None] = (0.0, None)
        self._retrying = False
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self) -> None:
        """Open the records, in the thread. Raises what opening raises."""
        self._loop = asyncio.get_running_loop()
        self._thread.start()
        await self._run(self._open)

    async def close(self) -> None:
        """Write what waits, then close the records. Raises RecordsError when they could not be written."""
        try:
            await self.flush()
        finally:
            closing = self._run(self._close)
            self._closed = True
            await closing
            self._jobs.put(None)

    async def read(self, job: Callable[[Records], _T]) -> _T:
        """Run a job that only reads: after all that was told so far, unless another process holds the database."""
        self._write_soon(math.inf)
        self._write_waiting()
        return await self._run(lambda: job(self._opened()))

    async def write(self, job: Callable[[Records], _T]) -> _T:
        """Run a job that writes, after all events noted so far have been written.

        Raises RecordsLocked when another process holds the database: then the job has written nothing, and the
        events are still kept.
        """
        self._hand_over()
        asked = time.monotonic()
        return await self._run(lambda: self._after_backlog(job, asked))

    def post(self, job: Callable[[Records], Any]) -> None:
        """Run a job that writes, in order with the others, without waiting. It is repeated while the database
        is held by another process; any other failure is logged."""
        self._hand_over()
        self._jobs.put(lambda: self._backlog.append(job))
        self._put_try()

    def soon(self, job: Callable[[Records], Any]) -> asyncio.TimerHandle:
        """:meth:`post` a job after :data:`PERIOD`, or before the next read if that comes first; not at all once the
        handle is cancelled."""
        loop = asyncio.get_running_loop()
        while self._soon and self._soon[0][0].cancelled():
            self._soon.popleft()
        due = loop.time() + PERIOD
        handle = loop.call_at(due, self._write_soon, due)
        self._soon.append((handle, job))
        return handle

    def note(self, event: Event) -> None:
        """Write this event soon."""
        self._waiting.append(event)
        if self._timer is None and self._loop is not None:
            self._timer = self._loop.call_later(PERIOD, self._write_waiting)

    def take(self) -> list[Event]:
        """The events that wait here, for a commit that writes them itself; :meth:`give_back` if it does not."""
        events, self._waiting = self._waiting, []
        return events

    def give_back(self, events: list[Event]) -> None:
        """These are to be written after all, before those noted since."""
        self._waiting[:0] = events
        self._write_waiting()

    async def events(self, since: int, wanted: EventFilter, *, limit: int) -> list[Event]:
        """At most ``limit`` recorded events after that number, in order."""
        found = await self.read(
            lambda records: records.events_since(since, run_id=wanted.run, step_id=wanted.step_id, limit=limit)
        )
        return [Event(**each.to_dict()) for each in found]

    async def flush(self) -> None:
        """After the call every event noted so far is in the records. Raises RecordsLocked."""
        await self.write(lambda records: None)

    def _write_waiting(self) -> None:
        self._timer = None
        if self._waiting:
            self._hand_over()
            self._put_try()

    def _write_soon(self, due: float) -> None:
        while self._soon and self._soon[0][0].when() <= due:
            handle, job = self._soon.popleft()
            if not handle.cancelled():
                handle.cancel()
                self.post(job)

    def _put_try(self) -> None:
        asked = time.monotonic()
        self._jobs.put(lambda: self._try_backlog(asked))

    def _hand_over(self) -> None:
        """Put the waiting events into the thread's queue, in front of the job that comes next."""
        if not self._waiting:
            return
        events, self._waiting = self._waiting, []
        self._jobs.put(lambda: self._backlog.append(lambda records: _append(records, events)))
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _run(self, job: Callable[[], _T]) -> asyncio.Future[_T]:
        if self._closed:
            raise RecordsError("the records are closed: the engine is leaving")
        loop = asyncio.get_running_loop()
        future: asyncio.Future[_T] = loop.create_future()

        def run() -> None:
            try:
                result = job()
            except BaseException as error:  # noqa: BLE001 - it is raised where the job was asked for
                loop.call_soon_threadsafe(_refuse, future, error)
            else:
                loop.call_soon_threadsafe(_answer, future, result)

        self._jobs.put(run)
        return future

    # -- in the thread

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job()
            except Exception:  # noqa: BLE001 - whatever it was, what comes after it is written
                _log.exception("the records' thread goes on after")

    def _open(self) -> None:
        self._records = self._open_records()

    def _close(self) -> None:
        self._opened().close()

    def _opened(self) -> Records:
        if self._records is None:
            raise RecordsError("the records are not open")
        return self._records

    def _after_backlog(self, job: Callable[[Records], _T], asked: float) -> _T:
        locked = self._waited_in_vain(asked)
        if locked is not None:
            raise locked
        try:
            self._write_backlog()
            return job(self._opened())
        except RecordsError as error:
            self._note_locked(error)
            raise
        finally:
            if self._backlog:
                self._retry_later()

    def _waited_in_vain(self, asked: float) -> RecordsLocked | None:
        """Whoever queued behind a job that waited for the lock, and did not get it, has waited as long."""
        since, error = self._locked
        return error if asked < since else None

    def _note_locked(self, error: RecordsError) -> None:
        if isinstance(error, RecordsLocked):
            self._locked = (time.monotonic(), error)

    def _retry(self) -> None:
        self._retrying = False
        self._try_backlog(time.monotonic())

    def _try_backlog(self, asked: float) -> None:
        if self._waited_in_vain(asked):
            self._retry_later()
            return
        try:
            self._write_backlog()
        except RecordsError as error:
            self._note_locked(error)
            _log.warning("%d change(s) wait for the records: %s", len(self._backlog), error)
            self._retry_later()

    def _write_backlog(self) -> None:
        """Write what waits, in order; what cannot be written now stays."""
        while self._backlog:
            self._write_one(self._backlog[0])
            self._backlog.popleft()

    def _write_one(self, job: Callable[[Records], Any]) -> None:
        try:
            job(self._opened())
        except Exception as error:
            if can_pass(error):
                raise
            # It would fail again, and hold up all that comes after it.
            _log.exception("the records refused a change")

    def _retry_later(self) -> None:
        if self._retrying:
            return
        self._retrying = True
        timer = threading.Timer(_RETRY_PAUSE, self._jobs.put, [self._retry])
        timer.daemon = True
        timer.start()


def can_pass(error: Exception) -> bool:
    """Whether what could not be written for this reason may be written later."""
    return isinstance(error, RecordsError) and not isinstance(error, Unrecordable)


def _append(records: Records, events: list[Event]) -> None:
    """Write these events together; where one of them cannot be held, each by itself, and without that one."""
    try:
        records.append_events(events)
    except Unrecordable:
        for one in events:
            try:
                records.append_events([one])
            except Unrecordable:
                _log.exception("the records refused event %d of run %d", one.seq, one.run)


def _answer(future: asyncio.Future[_T], result: _T) -> None:
    if not future.done():
        future.set_result(result)


def _refuse(future: asyncio.Future[Any], error: BaseException) -> None:
    if not future.done():
        future.set_exception(error)
