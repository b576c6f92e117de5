"""HTTP/1.1 over a Unix socket, as little of it as the light client needs.

Not ``http.client``: that imports the mail parser (20 ms on the way of ``%load_ext``), and loses what it has
read when Ctrl-C arrives in mid-line. Here an interrupted read may simply be repeated. Light.
"""

from __future__ import annotations

import contextlib
import os
import select
import socket
import struct
import sys
from pathlib import Path

__all__ = ["Broken", "Connection", "Response", "Unreachable"]

_RECEIVE = 1 << 18


class Unreachable(ConnectionError):
    """Nobody listens at the socket; nothing was sent."""


class Broken(ConnectionError):
    """The connection ended after (a part of) the request was sent: it may have been carried out, or not."""


class Connection:
    """One kept-alive connection. Not for several threads at once; belongs to the process that opened it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._socket: socket.socket | None = None
        self._buffer = bytearray()
        self._pid = os.getpid()
        self._busy = False

    def open(self, *, timeout: float) -> None:
        """Connect. Raises :class:`Unreachable`. ``timeout`` (seconds) also bounds each later wait for data."""
        # Ours from the beginning: whatever strikes now, it is closed with this object.
        found = self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        found.settimeout(timeout)
        try:
            found.connect(str(self._path))
        except OSError as error:
            self.close()
            raise Unreachable(f"no engine at {self._path}: {error.strerror or error}") from error

    def request(self, method: str, target: str, body: bytes = b"") -> Response:
        """Send a request and read the head of the answer. The answer's body must be read to its end before
        the next request. Raises :class:`Broken`."""
        self._busy = True
        head = f"{method} {target} HTTP/1.1\r\nhost: engine\r\ncontent-length: {len(body)}\r\n"
        if body:
            head += "content-type: application/json\r\n"
        try:
            self._open_socket().sendall(head.encode("ascii") + b"\r\n" + body)
        except OSError as error:
            raise self._broken(error) from error
        return Response(self)

    def is_reusable(self) -> bool:
        """Whether the last answer was read whole, and the engine has not closed the connection since."""
        if self._socket is None or self._busy or self._pid != os.getpid():
            return False
        # Between answers there is nothing to read but the end.
        readable, _, _ = select.select([self._socket], [], [], 0)
        return not readable

    def wait(self, seconds: float) -> bool:
        """Whether something of the answer is there to be read, now or within that time; True also at its end."""
        # The empty line that ends a chunk may have come with it; it says nothing of the next.
        if len(self._buffer) > len(b"\r\n") or self._socket is None:
            return True
        readable, _, _ = select.select([self._socket], [], [], seconds)
        return bool(readable)

    def fileno(self) -> int:
        """The socket, for a selector. Raises :class:`Broken` when the connection is closed."""
        return self._open_socket().fileno()

    def peer_pid(self) -> int:
        """The process that listens at the other end; 0 where the system does not tell."""
        if sys.platform != "linux":
            return 0
        found = self._open_socket().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        return int(struct.unpack("3i", found)[0])

    def close(self) -> None:
        """Close; an answer that is being read in another thread ends with :class:`Broken`."""
        found, self._socket = self._socket, None
        if found is not None:
            # Wakes a thread that waits for data; closing alone would not.
            with contextlib.suppress(OSError):
                found.shutdown(socket.SHUT_RDWR)
            found.close()

    def __del__(self) -> None:
        # Ctrl-C may strike whoever has opened it before it has a name there, and nobody else can close it then.
        if self._socket is not None:
            self._socket.close()

    def _open_socket(self) -> socket.socket:
        if self._socket is None:
            raise Broken("the connection is closed")
        return self._socket

    def _broken(self, error: OSError) -> Broken:
        self.close()
        return Broken(f"the engine's connection ended: {error.strerror or error}")

    def _fill(self) -> None:
        try:
            data = self._open_socket().recv(_RECEIVE)
        except OSError as error:
            raise self._broken(error) from error
        if not data:
            self.close()
            raise Broken("the engine closed the connection")
        self._buffer += data

    def _through(self, end: bytes) -> bytes:
        """What comes before the next ``end``, which is consumed too."""
        while (found := self._buffer.find(end)) < 0:
            self._fill()
        data = bytes(self._buffer[:found])
        del self._buffer[: found + len(end)]
        return data

    def _some(self, most: int) -> bytes:
        """At least one byte, at most ``most``."""
        if not self._buffer:
            self._fill()
        data = bytes(self._buffer[:most])
        del self._buffer[: len(data)]
        return data

    def _done(self) -> None:
        self._busy = False


class Response:
    """The answer to one request: ``status``, ``headers`` (names in lower case), and its body, piece by piece."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        head = connection._through(b"\r\n\r\n").decode("latin-1").split("\r\n")
        self.status = int(head[0].split(" ", 2)[1])
        pairs = (line.partition(":") for line in head[1:])
        self.headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
        self._chunked = "chunked" in self.headers.get("transfer-encoding", "")
        self._left = 0 if self._chunked else int(self.headers.get("content-length", "0"))
        self._last = False
        self._ended = False
        if not self._chunked and not self._left:
            self._end()

    def piece(self) -> bytes:
        """The next bytes of the body as they arrive; empty at its end. Raises :class:`Broken`.

        After KeyboardInterrupt it may be called again and goes on where it was.
        """
        if self._ended:
            return b""
        if not self._left and not self._next_chunk():
            return b""
        data = self._connection._some(self._left)
        self._left -= len(data)
        if not self._left and not self._chunked:
            self._end()
        return data

    def read(self) -> bytes:
        """The whole body."""
        pieces = []
        while piece := self.piece():
            pieces.append(piece)
        return b"".join(pieces)

    def _next_chunk(self) -> bool:
        # Each step may be interrupted and repeated, so what was read is noted before more is read.
        if not self._last:
            # The empty line before a chunk's length ends the chunk before it.
            size = self._connection._through(b"\r\n") or self._connection._through(b"\r\n")
            self._left = int(size.partition(b";")[0], 16)
            self._last = not self._left
        if self._last:
            self._connection._through(b"\r\n")
            self._end()
        return not self._last

    def _end(self) -> None:
        self._ended = True
        self._connection._done()
