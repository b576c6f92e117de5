"""EngineLink: the engine as the Jupyter server reaches it. No logic of its own: bytes in, bytes out."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from cellyard.errors import EngineEnded, EngineUnavailable
from cellyard.service.client import EngineClient
from cellyard.settings import Settings

__all__ = ["EngineLink"]

_SILENCE = 40.0
"""Seconds without a byte after which an answer counts as broken; the engine sends signs of life more often."""


class EngineLink:
    """The engine of one store, over its socket. Belongs to the server's event loop."""

    def __init__(self, settings: Settings) -> None:
        self._engine = EngineClient(settings)
        # Every open page of a browser holds one stream of events; there is no number that is enough.
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=8)
        self._http = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=str(settings.socket), limits=limits),
            base_url="http://engine",
            timeout=_SILENCE,
        )

    async def look(self) -> dict[str, Any] | None:
        """What the engine says of itself; None when none runs. Starts nothing."""
        return await asyncio.to_thread(self._engine.info)

    @asynccontextmanager
    async def open(self, method: str, target: str, body: bytes, *, starts: bool) -> AsyncIterator[httpx.Response]:
        """The engine's answer, its body still to be read.

        With ``starts`` an engine is started where none runs, and one of another version replaced, as every other
        face does; without, EngineUnavailable says that there is none. Raises EngineUnavailable, EngineMismatch.
        """
        answer = await self._send(method, target, body, starts=starts)
        try:
            yield answer
        finally:
            await answer.aclose()

    async def _send(self, method: str, target: str, body: bytes, *, starts: bool) -> httpx.Response:
        request = self._http.build_request(
            method, target, content=body, headers={"content-type": "application/json"} if body else None
        )
        try:
            return await self._http.send(request, stream=True)
        except httpx.ConnectError as error:
            # Nothing was sent: nobody listens.
            if not starts:
                raise EngineUnavailable(waited="0 s", log="No engine runs; one starts with the next step.") from error
        except httpx.TransportError as error:
            raise EngineEnded(reason=f"{error!r}") from error
        await asyncio.to_thread(self._engine.ensure)
        try:
            return await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise EngineUnavailable(waited="0 s", log=f"It ended right after its start ({error!r}).") from error
