"""A connection to the API server that can be cut."""

from __future__ import annotations

import asyncio

__all__ = ["Wire"]


class Wire:
    """All connections to the API server, on their way through this process, where they can be cut."""

    def __init__(self, server: str) -> None:
        self.host, _, port = server.removeprefix("https://").partition(":")
        self._port = int(port or 443)
        self._writers: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Wire:
        self._server = await asyncio.start_server(self._carry, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()

    def cut(self) -> int:
        """Break every connection; returns how many there were."""
        for each in self._writers:
            each.transport.abort()
        return len(self._writers)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection(self.host, self._port)
        self._writers |= {writer, far_writer}
        ways = [_copy(reader, far_writer), _copy(far_reader, writer)]
        await asyncio.gather(*ways, return_exceptions=True)
        self._writers -= {writer, far_writer}
        for each in (writer, far_writer):
            each.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()
