"""Step parents as their owner sees them: start one, ask for children, hear how they end.

When a step uses packages that the parent has not imported, a new parent with them is prepared in the background and
takes over when it is ready; the old one ends with its last child.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from typing import Any

from cellyard.artifacts.encoding import decode, encode
from cellyard.errors import WorkerLost
from cellyard.worker.link import Frame, send_blocking
from cellyard.worker.sizing import THREAD_SETTINGS

__all__ = ["Child", "ParentHandle", "Parents"]

#: Seconds into a step after which the child for the next one is forked, if the step has not ended before.
FORK_AFTER = 0.03
#: Children that wait: one has rehearsed while the step before ran, also when steps follow each other closely.
SPARES = 2

_LATER = {"torch": "torch._dynamo"}
"""What a package imports only when it is used: it takes seconds, and every optimizer of torch does."""

_AHEAD_BYTES = 32 << 10
"""More may not go into a socket that nobody reads just now."""
_END_WITHIN = 3.0


class Child:
    """A forked child that waits for its step: pid, its socket, and later its wait status."""

    def __init__(self, pid: int, sock: socket.socket, status: asyncio.Future[int]) -> None:
        self.pid = pid
        self.sock = sock
        self.status = status


class ParentHandle:
    """A step parent process and the socket to it, not yet attached to a loop."""

    def __init__(self, process: subprocess.Popen[bytes], control: socket.socket, packages: tuple[str, ...]) -> None:
        self.process = process
        self.control = control
        self.packages = packages

    @classmethod
    def spawn(cls, packages: tuple[str, ...], folder: str = "", store: str = "") -> ParentHandle:
        """Start a parent; returns before it has imported anything. ``folder`` has packages that the image lacks,
        ``store`` is the address of the store that its children will use."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [
            sys.executable,
            "-P",
            "-m",
            "cellyard.worker.parent",
            str(theirs.fileno()),
            str(os.getpid()),
            folder,
            store,
            *packages,
        ]
        environment = {
            **os.environ,
            **THREAD_SETTINGS,
            "MPLBACKEND": "module://matplotlib_inline.backend_inline",
        }
        process = subprocess.Popen(
            command,
            env=environment,
            pass_fds=[theirs.fileno()],
            stdin=subprocess.DEVNULL,
            start_new_session=False,
        )
        theirs.close()
        return cls(process, ours, packages)


class _Parent:
    """A step parent on the running loop, with spare children."""

    def __init__(self, handle: ParentHandle) -> None:
        self.packages = set(handle.packages)
        self.unsafe: set[str] = set()
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._process = handle.process
        self._control = handle.control
        self._forking: list[tuple[asyncio.Future[Child], socket.socket]] = []
        self._statuses: dict[int, asyncio.Future[int]] = {}
        self._spares: list[asyncio.Future[Child]] = []
        self._ahead: Frame | None = None
        self._retired = False
        self._control.setblocking(False)
        asyncio.get_running_loop().add_reader(self._control, self._on_message)
        self.fork_ahead()

    @property
    def pid(self) -> int:
        return self._process.pid

    def fork_ahead(self) -> None:
        """Fork spare children as far as they are missing, unless this parent is to end."""
        while len(self._spares) < SPARES and not self._retired and not self.dead:
            self._spares.append(self._fork())

    def _fork(self) -> asyncio.Future[Child]:
        ours, theirs = socket.socketpair()
        made: asyncio.Future[Child] = asyncio.get_running_loop().create_future()
        try:
            socket.send_fds(self._control, [encode(["fork"])], [theirs.fileno()])
        except OSError as error:
            ours.close()
            made.set_exception(_parent_lost(error))
            made.exception()  # seen: the caller may never ask
            return made
        finally:
            theirs.close()
        self._forking.append((made, ours))
        self._tell_ahead(ours)
        return made

    def expect(self, frame: Frame) -> None:
        """Children that wait, now and later, are told of the state and the place that their step will likely have."""
        if frame == self._ahead:
            return
        self._ahead = frame
        waiting = [spare.result().sock for spare in self._spares if spare.done() and spare.exception() is None]
        for sock in (*waiting, *(sock for _, sock in self._forking)):
            self._tell_ahead(sock)

    def _tell_ahead(self, sock: socket.socket) -> None:
        if self._ahead is not None:
            # One that is dead is noticed when it is given its step.
            with contextlib.suppress(OSError):
                send_blocking(sock, self._ahead)

    async def take(self) -> Child:
        """A spare child; the next one is forked when :meth:`fork_ahead` is called, or after a moment."""
        child = await (self._spares.pop(0) if self._spares else self._fork())
        # Not now: on a small machine the fork would take its time from the step that begins.
        asyncio.get_running_loop().call_later(FORK_AFTER, self.fork_ahead)
        return child

    def _on_message(self) -> None:
        try:
            data = self._control.recv(1 << 16)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self._on_death()
            return
        kind, *content = decode(data)
        if kind == "forked":
            self._on_forked(content[0])
        elif kind == "exited":
            status = self._statuses.pop(content[0], None)
            if status is not None and not status.done():
                status.set_result(content[1])
            self._close_if_idle()
        elif kind == "ready":
            self.unsafe.update(content[1])
            self.packages.difference_update(content[1])
            if not self.ready.done():
                self.ready.set_result(None)

    def _on_forked(self, pid: int) -> None:
        made, sock = self._forking.pop(0)
        status: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._statuses[pid] = status
        if made.cancelled():
            sock.close()
        else:
            made.set_result(Child(pid, sock, status))

    def _on_death(self) -> None:
        """The parent died, and its children with it."""
        asyncio.get_running_loop().remove_reader(self._control)
        for made, sock in self._forking:
            sock.close()
            if not made.done():
                made.set_exception(_parent_lost(None))
                made.exception()
        for status in self._statuses.values():
            if not status.done():
                status.set_result(9)
        self._forking.clear()
        self._statuses.clear()
        if not self.ready.done():
            self.ready.set_result(None)
        self.dead = True

    dead = False

    def retire(self) -> None:
        """End once the last child has."""
        self._retired = True
        self._drop_spares()
        self._close_if_idle()

    def _drop_spares(self) -> None:
        spares, self._spares = self._spares, []
        for spare in spares:
            if spare.done():
                _dismiss(spare)
            else:
                spare.add_done_callback(_dismiss)

    def _close_if_idle(self) -> None:
        if self._retired and not self._statuses and not self._forking:
            self.close()

    def close(self) -> None:
        """End the parent, and with it every child."""
        if not self.dead:
            asyncio.get_running_loop().remove_reader(self._control)
            self._on_death()
        self._drop_spares()
        self._control.close()
        if self._process.poll() is None:
            self._process.terminate()  # not kill: it ends what its steps have started, and is quick about it
        try:
            self._process.wait(_END_WITHIN)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _dismiss(spare: asyncio.Future[Child]) -> None:
    """A child whose socket closes before it was given a step ends by itself."""
    if not spare.cancelled() and spare.exception() is None:
        spare.result().sock.close()


class Parents:
    """The parent in use, and perhaps its successor. ``folder`` has packages that the image lacks; it is on the path of
    all of them. Their children use the store of that address."""

    def __init__(self, handle: ParentHandle | None, folder: str = "", store: str = "") -> None:
        self._handle = handle
        self._folder = folder
        self._store = store
        self._current: _Parent | None = None
        self._unsafe: set[str] = set()
        self._preparing: asyncio.Task[None] | None = None
        self._next: _Parent | None = None
        self._old: list[_Parent] = []

    async def start(self) -> None:
        """Attach the parent to this loop, started now if it was not before."""
        self._current = _Parent(self._handle or self._spawn(()))

    def _spawn(self, packages: Iterable[str]) -> ParentHandle:
        return ParentHandle.spawn(tuple(sorted(packages)), self._folder, self._store)

    async def child(self, packages: Iterable[str]) -> Child:
        """A clean child; of a new parent when the old one has died."""
        if self._current is None or self._current.dead:
            known = self._current.packages if self._current is not None else set()
            if self._current is not None:
                self._current.close()
            self._current = _Parent(self._spawn(known - self._unsafe))
        return await self._current.take()

    def fork_ahead(self) -> None:
        """Have a spare child for the next step."""
        if self._current is not None:
            self._current.fork_ahead()

    def expect(self, plain: bytes, place: Mapping[str, Any]) -> None:
        """The next step likely has this plain process state, and this place."""
        if self._current is not None and len(plain) < _AHEAD_BYTES:
            self._current.expect(["ahead", plain, dict(place)])

    def prepare(self, packages: Iterable[str]) -> None:
        """Have a parent with these packages too, soon."""
        if self._current is None or self._preparing is not None:
            return
        named = {*packages, *(_LATER[name] for name in packages if name in _LATER)}
        if named - self._current.packages - self._unsafe:
            wanted = (self._current.packages | named) - self._unsafe
            self._preparing = asyncio.get_running_loop().create_task(self._replace(wanted))

    async def _replace(self, wanted: set[str]) -> None:
        try:
            while True:
                self._next = _Parent(self._spawn(wanted))
                await self._next.ready
                if self._next.dead:  # an import killed it: the steps that need that package find out themselves
                    self._give_up(wanted)
                    return
                if not self._next.unsafe:
                    break
                self._unsafe |= self._next.unsafe
                wanted -= self._unsafe
                self._next.close()
            replaced, self._current, self._next = self._current, self._next, None
            if replaced is not None:
                self._old = [parent for parent in self._old if not parent.dead]
                self._old.append(replaced)
                replaced.retire()
        finally:
            self._preparing = None

    def _give_up(self, wanted: set[str]) -> None:
        failed, self._next = self._next, None
        if failed is not None:
            failed.close()
        self._unsafe |= wanted - (self._current.packages if self._current is not None else set())

    def pids(self) -> set[int]:
        """The processes of all parents."""
        every = (self._current, self._next, *self._old)
        return {parent.pid for parent in every if parent is not None}

    async def close(self) -> None:
        """End all parents."""
        if self._preparing is not None:
            self._preparing.cancel()
        for parent in (self._current, self._next, *self._old):
            if parent is not None and not (parent in self._old and parent.dead):
                parent.close()


def _parent_lost(error: Exception | None) -> WorkerLost:
    detail = f" ({error})" if error is not None else ""
    return WorkerLost(
        step="", worker="step parent", hint=f"The process that starts steps has died{detail}. Run it again."
    )
