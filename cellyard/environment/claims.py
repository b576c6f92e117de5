"""Claim: whose turn it is to do something that only one of many workers shall do.

Turns are numbered entries, each written once, so that of several who want the next one only one gets it. Whoever has
the turn takes the next ones too, every few seconds, as a sign of life. When no new turn has come for a while, by the
clock of the one who waits, that one may take it over. No two clocks are compared, and nothing is ever deleted.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from cellyard.artifacts.entries import Entries

__all__ = ["Claim"]

RENEW_EVERY = 3.0
SILENCE = 12.0
"""Seconds without a sign of life after which a claim is taken over."""
_GIVEN_UP = b"given up"


class Claim:
    """One worker's view of the turns below ``name``."""

    def __init__(
        self, entries: Entries, name: str, *, renew_every: float = RENEW_EVERY, silence: float = SILENCE
    ) -> None:
        self._entries = entries
        self._name = name
        self._renew_every = renew_every
        self._silence = silence
        self._owner = uuid.uuid4().hex.encode()
        self._next = 0
        self._latest: bytes | None = None
        self._seen = time.monotonic()

    def take(self) -> bool:
        """Take the turn if it is free, given up or silent; True when it is ours."""
        self._look()
        is_free = self._latest is None or self._latest == _GIVEN_UP
        if is_free or time.monotonic() - self._seen > self._silence:
            return self._write(self._owner)
        return False

    def _look(self) -> None:
        """Go on to the latest turn."""
        while (found := self._entries.read(f"{self._name}/{self._next}")) is not None:
            self._latest = found
            self._next += 1
            self._seen = time.monotonic()

    def _write(self, content: bytes) -> bool:
        won = self._entries.write_once(f"{self._name}/{self._next}", content)
        if won:
            self._latest = content
            self._next += 1
            self._seen = time.monotonic()
        return won

    @contextmanager
    def held(self) -> Iterator[None]:
        """Show signs of life until the block ends; where it fails, others need not wait to try themselves."""
        ended = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(ended,), name="cellyard-claim", daemon=True)
        keeper.start()
        succeeded = False
        try:
            yield
            succeeded = True
        finally:
            ended.set()
            keeper.join()
            if not succeeded:
                self._look()
                self._write(_GIVEN_UP)

    def _keep(self, ended: threading.Event) -> None:
        while not ended.wait(self._renew_every):
            if not self._write(self._owner):  # taken over: what we do may still be of use, but speaks for nobody
                return
