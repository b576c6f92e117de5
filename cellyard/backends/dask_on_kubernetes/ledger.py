"""StepLedger: in the scheduler's pod, keeps each step and its messages until the engine has stored them.

A plugin of the Dask scheduler. The engine's connection may break and come back, also from another process: what it
has not seen by then it gets by number. Steps are wanted by the ledger as well as by the engine's client, so Dask does
not drop them when that is gone.

    asked by the engine    cellyard_sync(known, former, client) -> {"workers": [...], "steps": {...}}
    sent by the engine     cellyard-signal(token, how)  cellyard-stored(token, number)  cellyard-forget(token)
    told on the topic      {"token", "number", "ended", "packed"}  {"worker": …}  {"gone": …}  {"over": token, …}
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from distributed import Scheduler, SchedulerPlugin

from cellyard.backends.dask_config import MESSAGE_INTERVAL

__all__ = ["KEY", "StepLedger"]

KEY = "step"
"""The first part of each step's key, so that Dask keeps no statistics per token."""
SIGNAL = "cellyard-signal"

_HOLDER = "cellyard-ledger"
_MOST_KEPT = 16 << 20
"""Bytes of messages kept per step while nobody takes them; beyond, the middle is dropped, never the end."""
_FORMER_WITHIN = 5.0


@dataclass(slots=True)
class _Entry:
    """One step: where it runs, its messages that have not been stored yet, and how its task ended."""

    worker: str | None = None
    batches: deque[tuple[int, bytes, bool]] = field(default_factory=deque)
    size: int = 0
    over: bool = False
    cause: str | None = None

    def add(self, number: int, packed: bytes, *, ended: bool) -> None:
        self.batches.append((number, packed, ended))
        self.size += len(packed)
        while self.size > _MOST_KEPT and len(self.batches) > 2:
            # Not the first: that says that the step has started.
            dropped = self.batches[1]
            del self.batches[1]
            self.size -= len(dropped[1])

    def drop(self, number: int) -> None:
        while self.batches and self.batches[0][0] <= number:
            self.size -= len(self.batches.popleft()[1])


class StepLedger(SchedulerPlugin):
    """The ledger of one engine; ``topic`` is where its workers tell what steps say."""

    idempotent = True  # one that is there already stays, with what it keeps

    def __init__(self, topic: str) -> None:
        self.name = f"ledger-{topic}"
        self._topic = topic
        self._steps: dict[str, _Entry] = {}
        self._left = time.time()

    async def start(self, scheduler: Scheduler) -> None:
        """Attach to the scheduler."""
        self._scheduler: Any = scheduler
        suffix = self._topic
        scheduler.handlers[f"cellyard_sync_{suffix}"] = self.sync
        scheduler.stream_handlers[f"{SIGNAL}-{suffix}"] = self.signal
        scheduler.stream_handlers[f"cellyard-stored-{suffix}"] = self.stored
        scheduler.stream_handlers[f"cellyard-forget-{suffix}"] = self.forget

    # From the engine.

    async def sync(self, known: Mapping[str, int], former: str = "", client: str = "") -> dict[str, Any]:
        """Every worker, and every step with its messages after the number that is known of it.

        ``former`` is the engine's connection before this one: what that has sent has all been taken in on return.
        ``client`` is this one: it is told everything that comes after the answer.
        """
        deadline = time.monotonic() + _FORMER_WITHIN
        while former in self._scheduler.client_comms and time.monotonic() < deadline:
            await asyncio.sleep(0.01)
        if client:
            # It subscribes on another stream than this question came by, and that one may be slower.
            self._scheduler.subscribe_topic(self._topic, client)
        return {
            "workers": [self._facts(address) for address in self._scheduler.workers],
            "steps": {
                token: {
                    "worker": entry.worker,
                    "batches": [list(each) for each in entry.batches if each[0] > known.get(token, 0)],
                    "over": entry.over,
                    "cause": entry.cause,
                }
                for token, entry in self._steps.items()
            },
        }

    def signal(self, token: str, how: str, client: str = "") -> None:
        """Pass "interrupt" or "cancel" on to the worker that has the step, behind the step itself."""
        entry = self._steps.get(token)
        if entry is not None and entry.worker in self._scheduler.stream_comms:
            op = f"{SIGNAL}-{self._topic}"
            self._scheduler.stream_comms[entry.worker].send({"op": op, "token": token, "how": how})

    def stored(self, token: str, number: int, client: str = "") -> None:
        """The engine has these messages for good."""
        entry = self._steps.get(token)
        if entry is not None:
            entry.drop(number)

    def forget(self, token: str, client: str = "") -> None:
        """The step's end is recorded, or nobody wants it any more: let Dask drop the task."""
        if self._steps.pop(token, None) is not None:
            self._scheduler.client_releases_keys(keys=[(KEY, token)], client=_HOLDER)
            self._left = time.time()

    # From the scheduler.

    def log_event(self, topic: str, msg: Any) -> None:
        """Keep a step's messages. Dask itself passes them on to whoever follows the topic."""
        if topic == self._topic and "packed" in msg:
            entry = self._steps.get(msg["token"])
            if entry is not None:
                entry.add(msg["number"], msg["packed"], ended=msg["ended"])

    def transition(self, key: Any, start: str, finish: str, *args: Any, **kwargs: Any) -> None:
        """Follow the tasks of steps."""
        if not (isinstance(key, tuple) and key[0] == KEY):
            return
        token = key[1]
        if start == "released" and finish != "forgotten" and token not in self._steps:
            self._steps[token] = _Entry()
            # After this transition: to want a task in the midst of it would confuse the scheduler.
            asyncio.get_running_loop().call_soon(self._hold, key)
        entry = self._steps.get(token)
        if entry is None:
            return
        if finish == "processing":
            entry.worker = self._scheduler.tasks[key].processing_on.address
        elif finish in ("memory", "erred"):
            entry.over = True
            entry.cause = self._cause(key) if finish == "erred" else None
            self._tell({"over": token, "cause": entry.cause})

    def add_worker(self, scheduler: Scheduler, worker: str) -> None:
        """A worker is there."""
        self._tell({"worker": self._facts(worker)})
        asyncio.get_running_loop().call_soon(self._hurry)

    def remove_worker(self, scheduler: Scheduler, worker: str, **kwargs: Any) -> None:
        """A worker has gone."""
        self._tell({"gone": worker})

    def add_client(self, scheduler: Scheduler, client: str) -> None:
        """The engine is there, or someone who looks on."""
        asyncio.get_running_loop().call_soon(self._hurry)

    def remove_client(self, scheduler: Scheduler, client: str) -> None:
        """A connection has gone."""
        self._left = time.time()

    def idle_since(self) -> float | None:
        """Since when there has been neither an engine nor a step that still runs; None while there is."""
        if self._scheduler.client_comms or any(not entry.over for entry in self._steps.values()):
            self._left = time.time()
            return None
        return self._left

    def _facts(self, address: str) -> dict[str, Any]:
        state = self._scheduler.workers[address]
        return {
            "address": address,
            "name": str(state.name),
            "resources": dict(state.resources),
            "nthreads": state.nthreads,
            "memory": state.memory_limit,
            "versions": state.versions,
        }

    def _cause(self, key: tuple[str, str]) -> str:
        return str(self._scheduler.tasks[key].exception_text or "Dask lost its worker.")

    def _hold(self, key: tuple[str, str]) -> None:
        if key in self._scheduler.tasks:
            self._scheduler.client_desires_keys(keys=[key], client=_HOLDER)

    def _hurry(self) -> None:
        """No message waits for others longer than a moment, on any connection."""
        for each in (*self._scheduler.client_comms.values(), *self._scheduler.stream_comms.values()):
            each.interval = min(each.interval, MESSAGE_INTERVAL)

    def _tell(self, facts: dict[str, Any]) -> None:
        self._scheduler.log_event(self._topic, facts)
