"""Frames over a stream socket: a length of four bytes, then msgpack. Knows nothing of steps.

A frame is a list whose first item names it; its values are those of :mod:`cellyard.artifacts.encoding`.
"""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable
from typing import Any, cast

from cellyard.artifacts.encoding import decode as unpack
from cellyard.artifacts.encoding import encode as pack

__all__ = ["Frame", "Link", "pack", "receive_blocking", "send_at_once", "send_blocking", "unpack"]

Frame = list[Any]

_HEADER = struct.Struct(">I")


def send_blocking(sock: socket.socket, frame: Frame) -> None:
    """Send one frame over a socket that no loop has yet."""
    body = pack(frame)
    sock.sendall(_HEADER.pack(len(body)) + body)


def send_at_once(sock: socket.socket, frame: Frame) -> bytes:
    """Send as much of a frame as the socket takes now; returns what is left for a link's :meth:`Link.send_rest`."""
    body = pack(frame)
    data = _HEADER.pack(len(body)) + body
    sock.setblocking(False)
    try:
        return data[sock.send(data) :]
    except (BlockingIOError, BrokenPipeError, ConnectionResetError):  # the link, too, will find the other side gone
        return data


def receive_blocking(sock: socket.socket) -> Frame:
    """One frame from a socket that no loop has yet. Raises EOFError when the other side is gone."""
    (length,) = _HEADER.unpack(_receive_exactly(sock, _HEADER.size))
    frame: Frame = unpack(_receive_exactly(sock, length))
    return frame


def _receive_exactly(sock: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = sock.recv(size - len(data))
        if not piece:
            raise EOFError("the other side of the link is gone")
        data += piece
    return bytes(data)


class Link(asyncio.Protocol):
    """One end of the link, on a running loop.

    ``on_frame`` gets each frame in order; ``on_lost`` is called once when the other end is gone, after the
    last frame. Neither is called after :meth:`close`.
    """

    def __init__(self, on_frame: Callable[[Frame], None], on_lost: Callable[[], None]) -> None:
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._flushed: asyncio.Future[None] | None = None
        self._closed = asyncio.Event()
        self._quiet = False

    @classmethod
    async def open(cls, sock: socket.socket, on_frame: Callable[[Frame], None], on_lost: Callable[[], None]) -> Link:
        """A link that owns the socket from here on."""
        sock.setblocking(False)
        loop = asyncio.get_running_loop()
        _, link = await loop.create_unix_connection(lambda: cls(on_frame, on_lost), sock=sock)
        return link

    def send(self, *frame: Any) -> None:
        """Send a frame; dropped when the other end is gone, which ``on_lost`` tells."""
        self.send_packed(pack(frame))

    def send_packed(self, body: bytes) -> None:
        """Send a frame that :func:`pack` has made already."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(_HEADER.pack(len(body)) + body)

    def send_rest(self, data: bytes) -> None:
        """Send what :func:`send_at_once` has left."""
        if data and self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    async def flushed(self) -> None:
        """Return once all that was sent has left this process, or can no longer leave it."""
        transport = self._transport
        if transport is None or transport.is_closing() or not transport.get_write_buffer_size():
            return
        if self._flushed is None:
            self._flushed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._flushed)

    async def close(self) -> None:
        """Send what is left, then close."""
        self._quiet = True
        if self._transport is not None:
            self._transport.close()
        await self._closed.wait()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # A cast and no check: uvloop's transports are none of asyncio's classes.
        self._transport = cast(asyncio.Transport, transport)
        # Zero: "resume" then means that nothing is left in this process.
        self._transport.set_write_buffer_limits(high=0)

    def resume_writing(self) -> None:
        if self._flushed is not None:
            waiting, self._flushed = self._flushed, None
            if not waiting.done():
                waiting.set_result(None)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        start = 0
        with memoryview(self._buffer) as view:
            frames = []
            while len(view) - start >= _HEADER.size:
                (length,) = _HEADER.unpack_from(view, start)
                end = start + _HEADER.size + length
                if end > len(view):
                    break
                frames.append(bytes(view[start + _HEADER.size : end]))
                start = end
        del self._buffer[:start]
        for body in frames:
            if not self._quiet:
                self._on_frame(unpack(body))

    def connection_lost(self, error: Exception | None) -> None:
        self.resume_writing()
        self._transport = None
        self._closed.set()
        if not self._quiet:
            self._quiet = True
            self._on_lost()
