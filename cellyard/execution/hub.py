"""Hub: numbers events, keeps them in order, and hands them to whoever follows. Pure memory, one event loop.

A number is allotted at once and never again. An event whose number is reserved first and filled in later (a
step's end, which must be committed before it is told) holds back only the followers that it concerns, so every
follower sees its events in the order of their numbers, and ``?since=`` needs no more than a number.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["Event", "EventFilter", "Hub", "Slot", "Subscription"]

_MOST_WAITING = 20_000
"""Events that a slow follower may have waiting; beyond, it reads them from the records instead."""
_MOST_PRIVATE = 64 << 20


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a run or step. ``step`` (name), ``step_id`` and ``attempt`` are None for a
    run as a whole; ``time`` is seconds since 1970; ``kind`` is accepted, state, output, memory or finished."""

    seq: int
    run: int
    step: str | None
    step_id: int | None
    attempt: int | None
    time: float
    kind: str
    content: dict[str, Any]

    def to_dict(self) -> dict[str, Any]:
        """The event as JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class EventFilter:
    """Which events a follower wants; None: of every run, of every step."""

    run: int | None = None
    step_id: int | None = None

    def wants(self, run: int, step_id: int | None) -> bool:
        return (self.run is None or self.run == run) and (self.step_id is None or self.step_id == step_id)


class Slot:
    """A number and, once it is known, its event. A void one will never have any."""

    __slots__ = ("_encoded", "about", "event", "seq", "void")

    def __init__(self, seq: int, about: tuple[int, int | None]) -> None:
        self.seq = seq
        self.about = about
        self.event: Event | None = None
        self.void = False
        self._encoded: bytes | None = None

    @property
    def open(self) -> bool:
        """Whether it is not yet known what becomes of it."""
        return self.event is None and not self.void

    def encoded(self) -> bytes:
        """The event as one server-sent event; made once for all followers."""
        if self._encoded is None:
            assert self.event is not None
            self._encoded = encode(self.event)
        return self._encoded


def encode(event: Event, *, private: str = "") -> bytes:
    """One server-sent event: its number, kind and JSON. ``private`` goes into the content of this copy only."""
    data = {
        "seq": event.seq,
        "run": event.run,
        "step": event.step,
        "step_id": event.step_id,
        "attempt": event.attempt,
        "time": event.time,
        "kind": event.kind,
        "content": event.content | {"private": private} if private else event.content,
    }
    return f"id: {event.seq}\nevent: {event.kind}\ndata: {json.dumps(data)}\n\n".encode()


class Subscription:
    """One follower's events, live. ``start``: everything up to this number is not in here but in the records.

    Iteration ends when the hub closes, and when the follower was too slow (``overflowed``).
    """

    def __init__(self, hub: Hub, wanted: EventFilter, start: int, slots: Iterator[Slot]) -> None:
        self.start = start
        self.wanted = wanted
        self.overflowed = False
        self._hub = hub
        self._slots: deque[Slot] = deque(slots)
        self._wake = asyncio.Event()
        self._closed = False

    def __aiter__(self) -> Subscription:
        return self

    async def __anext__(self) -> Slot:
        while True:
            slot = self.take()
            if slot is not None:
                return slot
            if self._closed:
                raise StopAsyncIteration
            self._wake.clear()
            await self._wake.wait()

    def take(self) -> Slot | None:
        """The next event that may be told now; None when there is none yet."""
        slots = self._slots
        while slots and slots[0].void:
            slots.popleft()
        if slots and not slots[0].open:
            return slots.popleft()
        return None

    async def wait(self, timeout: float) -> bool:
        """Wait for something to take, or the end; False when ``timeout`` seconds went by without."""
        if self._closed or (self._slots and not self._slots[0].open):
            return True
        self._wake.clear()
        try:
            async with asyncio.timeout(timeout):
                await self._wake.wait()
        except TimeoutError:
            return False
        return True

    @property
    def closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        """Follow no more."""
        self._hub.forget(self)
        self.end()

    def end(self) -> None:
        """No further events come; those that wait may still be taken."""
        self._closed = True
        self._wake.set()

    def offer(self, slot: Slot) -> None:
        if len(self._slots) >= _MOST_WAITING:
            self.overflowed = True
            self._slots.clear()
            self.close()
            return
        self._slots.append(slot)

    def wake(self) -> None:
        self._wake.set()


class Hub:
    """All events of an engine, from ``first`` on."""

    def __init__(self, first: int = 1) -> None:
        self.last = first - 1
        self._window: deque[Slot] = deque()
        self._subscriptions: set[Subscription] = set()
        self._attended: Counter[int] = Counter()
        self._private: OrderedDict[int, str] = OrderedDict()
        self._private_size = 0

    def start_at(self, first: int) -> None:
        """Number from ``first`` on (what the records have is numbered below)."""
        self.last = max(self.last, first - 1)

    @property
    def followers(self) -> int:
        """How many follow now."""
        return len(self._subscriptions)

    def reserve(self, run: int, step_id: int | None = None) -> Slot:
        """The next number, for an event that is told later (:meth:`fill`) or never (:meth:`drop`)."""
        self.last += 1
        slot = Slot(self.last, (run, step_id))
        self._window.append(slot)
        for each in list(self._subscriptions):
            if each.wanted.wants(run, step_id):
                each.offer(slot)
        return slot

    def fill(self, slot: Slot, event: Event, *, private: str = "") -> None:
        """Tell the event of a reserved number. ``private`` is kept aside, for the step's own face."""
        if private:
            self._keep_private(slot.seq, private)
        slot.event = event
        self._settle(slot)

    def drop(self, slot: Slot) -> None:
        """The number stays without an event."""
        slot.void = True
        self._settle(slot)

    def publish(
        self,
        kind: str,
        content: dict[str, Any],
        *,
        run: int,
        step: str | None = None,
        step_id: int | None = None,
        attempt: int | None = None,
        at: float | None = None,
    ) -> Event:
        """Number an event and tell it at once."""
        slot = self.reserve(run, step_id)
        event = Event(slot.seq, run, step, step_id, attempt, time.time() if at is None else at, kind, content)
        self.fill(slot, event)
        return event

    def private(self, seq: int) -> str:
        """What was kept aside for this event; empty when there was nothing, or it is long ago."""
        return self._private.get(seq, "")

    def subscribe(self, wanted: EventFilter) -> Subscription:
        """Follow from now on. What the records must supply ends at the subscription's ``start``."""
        start = self._window[0].seq - 1 if self._window else self.last
        slots = (slot for slot in self._window if wanted.wants(*slot.about))
        found = Subscription(self, wanted, start, slots)
        self._subscriptions.add(found)
        return found

    def attend(self, step_id: int) -> None:
        """The step's own face follows it, until :meth:`leave`."""
        self._attended[step_id] += 1

    def leave(self, step_id: int) -> None:
        self._attended[step_id] -= 1
        if self._attended[step_id] <= 0:
            del self._attended[step_id]

    def is_attended(self, step_id: int) -> bool:
        """Whether a face follows the step as its own."""
        return step_id in self._attended

    def forget(self, subscription: Subscription) -> None:
        """Called by the subscription when it is closed."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """End all following."""
        for each in list(self._subscriptions):
            each.end()

    def _settle(self, slot: Slot) -> None:
        # The window begins at the oldest open number: whoever subscribes now must still be told from there on.
        while self._window and not self._window[0].open:
            self._window.popleft()
        for each in self._subscriptions:
            if each.wanted.wants(*slot.about):
                each.wake()

    def _keep_private(self, seq: int, private: str) -> None:
        self._private[seq] = private
        self._private_size += len(private)
        while self._private_size > _MOST_PRIVATE and len(self._private) > 1:
            _, oldest = self._private.popitem(last=False)
            self._private_size -= len(oldest)
