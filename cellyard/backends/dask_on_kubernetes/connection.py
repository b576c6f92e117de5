"""Connection: a Dask client of the scheduler's pod, made anew whenever it breaks. Steps go on meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from distributed import Client

from cellyard.backends.dask_config import MESSAGE_INTERVAL
from cellyard.backends.dask_on_kubernetes.ledger import KEY, SIGNAL
from cellyard.backends.dask_steps import run_step

__all__ = ["Connection"]

_CONNECT = 5.0
_SYNC = 20.0
_PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)

_log = logging.getLogger(__name__)

Told = Callable[[Mapping[str, Any]], None]


class _Client(Client):
    """A client that does not connect again by itself: whoever has it makes another, and asks what was missed."""

    def __init__(self, address: str, lost: asyncio.Event) -> None:
        self._lost = lost
        super().__init__(address, asynchronous=True, set_as_default=False, timeout=_CONNECT)  # type: ignore[no-untyped-call]

    async def _reconnect(self) -> None:
        self._lost.set()
        await self._close(fast=True)


class Connection:
    """To the scheduler whose address ``find`` tells, once there is one.

    ``told`` gets each message of the topic, ``synced`` everything that there is, after each new connection, and
    ``lost`` is called when a connection is gone. ``prepare`` is run first on each new client.
    """

    def __init__(
        self,
        find: Callable[[], Awaitable[str]],
        topic: str,
        *,
        told: Told,
        synced: Told,
        lost: Callable[[], None],
        known: Callable[[], Mapping[str, int]],
        prepare: Callable[[Any], Awaitable[None]] | None = None,
    ) -> None:
        self._find = find
        self._topic = topic
        self._told = told
        self._synced = synced
        self._lost = lost
        self._known = known
        self._prepare = prepare
        self._client: Any = None
        self._former = ""
        self._task: asyncio.Task[None] | None = None
        self._futures: dict[str, Any] = {}
        self.is_up = False

    def start(self) -> None:
        """Connect, and stay connected until :meth:`close`."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Let go of the scheduler; steps there go on."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def submit(self, token: str, packed: bytes, *, address: str, resources: Mapping[str, int]) -> None:
        """Send a step to one worker, and to no other."""
        self._futures[token] = self._client.submit(
            run_step,
            packed,
            self._topic,
            key=(KEY, token),
            workers=[address],
            allow_other_workers=False,
            resources=dict(resources),
            pure=False,
            retries=0,
        )

    def signal(self, token: str, how: str) -> None:
        """Pass "interrupt" or "cancel" on to the step's worker."""
        self._send({"op": f"{SIGNAL}-{self._topic}", "token": token, "how": how})

    def stored(self, token: str, number: int) -> None:
        """The scheduler need not keep a step's messages up to that number."""
        self._send({"op": f"cellyard-stored-{self._topic}", "token": token, "number": number})

    def forget(self, token: str) -> None:
        """The scheduler need not keep the step."""
        self._send({"op": f"cellyard-forget-{self._topic}", "token": token})
        future = self._futures.pop(token, None)
        if future is not None and self.is_up:
            future.release()

    async def sync(self) -> None:
        """Ask for everything that has been missed."""
        client = self._client
        if client is not None and self.is_up:
            ask = getattr(client.scheduler, f"cellyard_sync_{self._topic}")
            self._synced(await asyncio.wait_for(ask(known=dict(self._known())), _SYNC))

    def _send(self, message: dict[str, Any]) -> None:
        if self.is_up:
            self._client._send_to_scheduler(message)

    async def _run(self) -> None:
        failures = 0
        while True:
            try:
                await self._hold_one()
                failures = 0
            except (OSError, TimeoutError, ValueError) as error:
                _log.info("no connection to the scheduler: %s", error)
                failures += 1
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])

    async def _hold_one(self) -> None:
        """Connect once, and return when that connection has broken."""
        address = await self._find()
        lost = asyncio.Event()
        client: Any = _Client(address, lost)
        try:
            await client
            client.scheduler_comm.interval = MESSAGE_INTERVAL
            if self._prepare is not None:
                await self._prepare(client)
            ask = getattr(client.scheduler, f"cellyard_sync_{self._topic}")
            missed: list[Mapping[str, Any]] = []
            client.subscribe_topic(self._topic, lambda event: missed.append(event[1]))
            asked = ask(known=dict(self._known()), former=self._former, client=client.id)
            found = await asyncio.wait_for(asked, _SYNC)
            self._client, self._former, self.is_up = client, client.id, True
            self._synced(found)
            for each in missed:
                self._told(each)
            client.subscribe_topic(self._topic, lambda event: self._told(event[1]))
            await lost.wait()
        finally:
            was_up, self.is_up = self.is_up, False
            self._client = None
            self._futures.clear()
            with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError):
                await client._close(fast=True)
            if was_up:
                self._lost()
