"""Routes: the backends of an engine by name, each started when a step first asks for it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from cellyard.backends.base import Backend, Listener, Offer

__all__ = ["Routes"]


class Routes:
    """``default`` is the name of ``first``, the backend that steps go to which name none; ``create`` makes others, and
    ``outlives`` says of a name whether steps there go on without their engine."""

    def __init__(
        self,
        default: str,
        first: Backend,
        create: Callable[[str], Backend],
        outlives: Callable[[str], bool] = lambda name: False,
    ) -> None:
        self.default = default
        self.first = first
        self._create = create
        self._outlives = outlives
        self._started: dict[str, Backend] = {}
        self._starting: dict[str, asyncio.Future[Backend]] = {}

    def __iter__(self) -> Iterator[Backend]:
        return iter(list(self._started.values()))

    def started(self) -> dict[str, Backend]:
        """Those that have been started, by name, the default first."""
        return dict(self._started)

    async def start(self, listener: Listener) -> None:
        """Start the default backend, and have all others tell the same listener later."""
        self._listener = listener
        await self.first.start(listener)
        self._started[self.default] = self.first

    async def named(self, name: str) -> Backend:
        """The backend of that name (empty: the default), started. Raises InvalidSettings for an unknown one, and what
        its start raises."""
        name = name or self.default
        found = self._started.get(name)
        if found is not None:
            return found
        if name not in self._starting:
            self._starting[name] = asyncio.ensure_future(self._start(name))
            self._starting[name].add_done_callback(lambda _: self._starting.pop(name))
        return await asyncio.shield(self._starting[name])

    def offer(self, name: str) -> Offer:
        """What the backend of that name (empty: the default) has, which need not be started for that. Raises
        InvalidSettings for an unknown one."""
        name = name or self.default
        if name == self.default:
            return self.first.offer
        found = self._started.get(name)
        return self._create(name).offer if found is None else found.offer

    def outlives(self, name: str) -> bool:
        """Whether steps of the backend of that name (empty: the default) go on without their engine."""
        return self._outlives(name or self.default)

    async def close(self) -> None:
        """Close all of them."""
        if self._starting:
            await asyncio.wait(list(self._starting.values()))
        await asyncio.gather(*(each.close() for each in self))
        if not self._started:
            await self.first.close()

    async def _start(self, name: str) -> Backend:
        made = self._create(name)
        await made.start(self._listener)
        self._started[name] = made
        return made
