"""Server-sent events: what was missed from the records, then what happens, in one stream without a seam.

The live events are subscribed to first, then the records are read up to where those begin.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from cellyard.execution.hub import Event, EventFilter, Hub, Subscription, encode
from cellyard.execution.journal import Journal

__all__ = ["END", "EventResponse", "Follower"]

END = b"event: end\ndata: {}\n\n"
"""The stream is complete. One that closes without it is to be taken up again elsewhere."""
SIGN_OF_LIFE = b": alive\n\n"
PERIOD = 10.0
_PAGE = 1000


async def _never() -> bool:
    return False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a reader wants: the events that ``wanted`` names, after number ``since``.

    ``is_last`` says which event completes the stream; ``is_over`` whether there will be no such event any more
    (asked once, after the replay). ``live`` False: the stream ends with what has happened. ``private``: the
    reader is the step's own face, and gets the private part of its end. ``kinds``: only events of these kinds are
    sent (None: all).
    """

    wanted: EventFilter
    since: int = 0
    kinds: frozenset[str] | None = None
    live: bool = True
    private: bool = False
    is_last: Callable[[Event], bool] = lambda event: False
    is_over: Callable[[], Awaitable[bool]] = _never


class Follower:
    """One reader's stream. ``subscription``: one that was made before anything happened, so that nothing has
    to be replayed."""

    def __init__(
        self, hub: Hub, journal: Journal, reading: Reading, *, subscription: Subscription | None = None
    ) -> None:
        self._hub = hub
        self._journal = journal
        self._reading = reading
        self._position = reading.since
        self._subscription = subscription
        self._fresh = subscription is not None
        self._complete = False
        self._stopped = False

    def stop(self) -> None:
        """The reader is gone."""
        self._stopped = True
        if self._subscription is not None:
            self._subscription.close()

    async def pieces(self) -> AsyncIterator[bytes]:
        """The stream's bytes, several events together where several are ready."""
        step = self._reading.wanted.step_id if self._reading.private else None
        if step is not None:
            self._hub.attend(step)
        try:
            async for piece in self._pieces():
                yield piece
        finally:
            if step is not None:
                self._hub.leave(step)

    async def _pieces(self) -> AsyncIterator[bytes]:
        while not (self._complete or self._stopped):
            subscription = self._subscription = self._subscription or self._hub.subscribe(self._reading.wanted)
            try:
                if not self._fresh:
                    async for piece in self._replay(subscription):
                        yield piece
                async for piece in self._follow(subscription):
                    yield piece
            finally:
                subscription.close()
            if not self._complete and not subscription.overflowed:
                # The engine is leaving, or the reader has left.
                return
            self._subscription, self._fresh = None, False
        if self._complete:
            yield END

    async def _replay(self, subscription: Subscription) -> AsyncIterator[bytes]:
        end = subscription.start
        await self._journal.flush()
        while not (self._complete or self._stopped) and self._position < end:
            events = await self._journal.events(self._position, self._reading.wanted, limit=_PAGE)
            wanted = [event for event in events if event.seq <= end]
            if data := b"".join([self._take(event) for event in wanted]):
                yield data
            if len(wanted) < len(events) or len(events) < _PAGE:
                self._position = max(self._position, end)
        if not self._complete and (not self._reading.live or await self._reading.is_over()):
            # It may have ended since the records were read: then its last event has come to the subscription.
            if data := self._taken(subscription):
                yield data
            self._complete = True

    async def _follow(self, subscription: Subscription) -> AsyncIterator[bytes]:
        told = time.monotonic()
        while not self._complete:
            waited = await subscription.wait(PERIOD)
            data = self._taken(subscription) if waited else b""
            # A reader who asked for few kinds hears nothing of a step that prints all the time.
            if not data and time.monotonic() - told >= PERIOD:
                data = SIGN_OF_LIFE
            if data:
                told = time.monotonic()
                yield data
            elif subscription.closed:
                return

    def _taken(self, subscription: Subscription) -> bytes:
        data = []
        while not self._complete and (slot := subscription.take()) is not None:
            assert slot.event is not None
            if slot.seq <= self._position:
                continue
            private = self._hub.private(slot.seq) if self._reading.private else ""
            self._note(slot.event)
            if not self._is_asked_for(slot.event):
                continue
            data.append(encode(slot.event, private=private) if private else slot.encoded())
        return b"".join(data)

    def _take(self, event: Event) -> bytes:
        if self._complete:
            return b""
        self._note(event)
        if not self._is_asked_for(event):
            return b""
        return encode(event, private=self._hub.private(event.seq) if self._reading.private else "")

    def _is_asked_for(self, event: Event) -> bool:
        return self._reading.kinds is None or event.kind in self._reading.kinds

    def _note(self, event: Event) -> None:
        self._position = event.seq
        self._complete = self._reading.is_last(event)


class EventResponse(Response):
    """A ``text/event-stream`` answer that stops when the reader is gone."""

    media_type = "text/event-stream"

    def __init__(self, follower: Follower) -> None:
        super().__init__(headers={"cache-control": "no-store"})
        self._follower = follower

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = [each for each in self.raw_headers if each[0] != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        watching = asyncio.ensure_future(_until_gone(receive, self._follower))
        try:
            async for piece in self._follower.pieces():
                await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watching.cancel()


async def _until_gone(receive: Receive, follower: Follower) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    follower.stop()
