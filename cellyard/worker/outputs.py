"""What a step shows, as notebook messages on the child's channel.

A line goes out at once when nothing went out for a while, so that it is seen even if the next call holds the
interpreter for long; other text is gathered for 20 ms. Everything else flushes the text before it, so
order is kept. Writes to descriptors 1 and 2 (subprocesses, C code) are read from pipes and join the same order.
"""

from __future__ import annotations

import codecs
import io
import os
import select
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from cellyard.errors import UsageError
from cellyard.worker.bundles import as_json
from cellyard.worker.link import send_blocking

__all__ = ["Channel", "DescriptorCapture", "StreamWriter"]

GATHER_SECONDS = 0.02
LONGEST_GATHER = 0.1
LARGE_TEXT = 64 << 10
MOST_LOGGED = 500
_PIPE_BYTES = 256 << 10


class Channel:
    """The child's way to its worker: messages in order, text gathered."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._lock = threading.RLock()
        self._pending: list[tuple[str, str]] = []
        self._pending_size = 0
        self._logged: list[dict[str, Any]] = []
        self._last_sent = 0.0
        self._gather = GATHER_SECONDS
        self._wake = threading.Event()
        self._flusher: threading.Thread | None = None
        self._owner = os.getpid()
        self._collect: Callable[[], None] | None = None
        self._diverted = 0
        self._take: Callable[[Mapping[str, Any]], None] = lambda _: None

    @property
    def socket(self) -> socket.socket:
        """Where the worker is heard."""
        return self._socket

    def first_collect(self, collect: Callable[[], None]) -> None:
        """Have ``collect`` called before each message: it appends the text that came another way before it."""
        self._collect = collect

    def divert(self, take: Callable[[Mapping[str, Any]], None]) -> None:
        """In a process forked from the step's own: have ``take`` called with each output message, text as written."""
        self._diverted, self._take = os.getpid(), take

    def send(self, kind: str, **content: Any) -> None:
        """Send one message, after all text written before it."""
        if (pid := os.getpid()) != self._owner:  # a process forked by the user's code has no say here
            if pid == self._diverted and kind == "output":
                self._take(content["message"])
            return
        if self._collect is not None:
            self._collect()
        with self._lock:
            self._flush()
            send_blocking(self._socket, [kind, content])
            self._last_sent = time.monotonic()

    def show(self, message: Mapping[str, Any]) -> None:
        """Send an output message; TypeError where it has something that nobody can show."""
        self.send("output", message=as_json(message))

    def write(self, name: str, text: str) -> None:
        """Text for ``stdout`` or ``stderr``."""
        if (pid := os.getpid()) != self._owner:
            if pid == self._diverted:
                self._take({"type": "stream", "name": name, "text": text})
            else:
                os.write(1 if name == "stdout" else 2, text.encode(errors="surrogateescape"))
            return
        # A line's end, which print writes by itself, belongs to what was written just before.
        if self._collect is not None and text != "\n":
            self._collect()
        self.append(name, text)

    def append(self, name: str, text: str) -> None:
        """Text that is the next, without a look whether other text came before it."""
        with self._lock:
            self._pending.append((name, text))
            self._pending_size += len(text)
            quiet = time.monotonic() - self._last_sent
            if (quiet >= self._gather and "\n" in text) or self._pending_size >= LARGE_TEXT:
                self._flush()
            else:
                self._start_flusher()
                self._wake.set()

    def log(self, entry: dict[str, Any]) -> None:
        """Something that the run says of itself; sent with others, within the time in which text is gathered."""
        if os.getpid() != self._owner:
            raise UsageError(
                "what a run says of itself is logged in the step's own process, not in one that it started."
            )
        with self._lock:
            self._logged.append(entry)
            if len(self._logged) >= MOST_LOGGED:
                self._flush()
            else:
                self._start_flusher()
                self._wake.set()

    def flush(self) -> None:
        """Send all text written so far."""
        if os.getpid() != self._owner:  # it is sent by the process that wrote it
            return
        with self._lock:
            self._flush()

    def _flush(self) -> None:
        if self._logged:
            logged, self._logged = self._logged, []
            send_blocking(self._socket, ["logged", {"entries": logged}])
        if not self._pending:
            return
        pending, self._pending, self._pending_size = self._pending, [], 0
        for name, text in _merged(pending):
            send_blocking(self._socket, ["output", {"message": {"type": "stream", "name": name, "text": text}}])
        now = time.monotonic()
        # Whoever shows much for long is shown less often, so that showing it takes less of what the step may use.
        is_steady = now - self._last_sent < 2 * self._gather
        self._gather = min(LONGEST_GATHER, self._gather * 1.2) if is_steady else GATHER_SECONDS
        self._last_sent = now

    def _start_flusher(self) -> None:
        if self._flusher is None:
            self._flusher = threading.Thread(target=self._flush_often, name="step-output", daemon=True)
            self._flusher.start()

    def _flush_often(self) -> None:
        while True:
            self._wake.wait()
            self._wake.clear()
            time.sleep(self._gather)
            self.flush()


def _merged(pending: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Neighbouring texts of one stream as one."""
    merged: list[tuple[str, list[str]]] = []
    for name, text in pending:
        if merged and merged[-1][0] == name:
            merged[-1][1].append(text)
        else:
            merged.append((name, [text]))
    return [(name, "".join(texts)) for name, texts in merged]


class StreamWriter(io.TextIOBase):
    """``sys.stdout`` or ``sys.stderr`` of a step."""

    encoding = "utf-8"
    errors = "backslashreplace"

    def __init__(self, channel: Channel, name: str, descriptor: int) -> None:
        super().__init__()
        self._channel = channel
        self.name = name  # as ipykernel has it
        self._stream = name
        self._descriptor = descriptor

    def write(self, text: str) -> int:
        if not isinstance(text, str):
            raise TypeError(f"write() argument must be str, not {type(text).__name__}")
        if text:
            self._channel.write(self._stream, text)
        return len(text)

    def flush(self) -> None:
        """Nothing to do: text goes out by itself within 20 ms."""

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return False

    def writable(self) -> bool:
        return True


class DescriptorCapture:
    """Descriptors 1 and 2 as pipes whose text joins the channel.

    Before any other message, what was written to them earlier is on the channel.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._readers: dict[int, str] = {}
        self._full = select.poll()
        self._decoders: dict[int, codecs.IncrementalDecoder] = {}
        self._stop_reader, self._stop_writer = os.pipe()
        self._thread: threading.Thread | None = None
        self._reading = threading.RLock()
        self._asked: socket.socket | None = None
        self._when: Callable[[], None] = lambda: None

    def start(self) -> None:
        """Redirect the descriptors. The thread that reads them starts now: subprocesses must never block."""
        for descriptor, name in ((1, "stdout"), (2, "stderr")):
            reader, writer = os.pipe()
            os.dup2(writer, descriptor)
            os.close(writer)
            os.set_blocking(reader, False)
            self._readers[reader] = name
            self._full.register(reader, select.POLLIN)
            self._decoders[reader] = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._thread = threading.Thread(target=self._read, name="step-descriptors", daemon=True)
        self._thread.start()
        self._channel.first_collect(self.drain)

    def answer(self, sock: socket.socket, when: Callable[[], None]) -> None:
        """Call ``when``, in the thread that reads, each time that something arrives on the socket, which it takes."""
        self._asked, self._when = sock, when
        os.write(self._stop_writer, b"a")

    def drain(self) -> None:
        """All that is in the pipes now is on the channel when this returns."""
        with self._reading:  # a poll object serves one thread at a time
            for reader, _ in self._full.poll(0):
                self._forward(reader)

    def stop(self) -> None:
        """Stop reading, after what is in the pipes now."""
        if self._thread is not None:
            os.write(self._stop_writer, b"x")
            self._thread.join()

    def _read(self) -> None:
        stopping = False
        while not stopping:
            asked = [self._asked.fileno()] if self._asked is not None else []
            ready, _, _ = select.select([*self._readers, self._stop_reader, *asked], [], [])
            stopping = self._stop_reader in ready and b"x" in os.read(self._stop_reader, 16)
            for reader in list(self._readers) if stopping else [r for r in ready if r in self._readers]:
                self._forward(reader)
            if not stopping and set(asked) & set(ready):
                self._when()

    def _forward(self, reader: int) -> None:
        """At most what a pipe can hold: a process that the step left behind may never cease to write."""
        with self._reading:
            for _ in range(_PIPE_BYTES // LARGE_TEXT if reader in self._readers else 0):
                try:
                    data = os.read(reader, LARGE_TEXT)
                except BlockingIOError:
                    return
                if not data:
                    self._drop(reader)
                    return
                self._channel.append(self._readers[reader], self._decoders[reader].decode(data))

    def _drop(self, reader: int) -> None:
        """Nobody can write to it any more; asked again it would say so for ever. It stays open: the number of a closed
        descriptor would soon be another's."""
        del self._readers[reader]
        self._full.unregister(reader)


def flush_standard_streams() -> None:
    """Have Python's own text of descriptors leave its buffers."""
    for stream in (sys.__stdout__, sys.__stderr__):
        if stream is not None:
            stream.flush()
