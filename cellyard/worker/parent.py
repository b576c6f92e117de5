"""The step parent: a process that has imported the notebook's packages and forks one child per step.

It has a single thread, or its children could deadlock: packages are imported with all pools at one thread, and one
that leaves a thread behind is reported as unsafe; whoever started the parent then starts another without it.
Started as ``python -m cellyard.worker.parent FD OWNER FOLDER STORE PACKAGES``; the socket behind FD carries one
MessagePack message per datagram:

    in    ["fork"] with a socket for the child         out   ["forked", pid]
                                                             ["ready", imported, unsafe]
                                                             ["exited", pid, wait status]
"""

from __future__ import annotations

import gc
import importlib
import os
import select
import signal
import site
import socket
import sys
import sysconfig
import time
import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cellyard.artifacts.encoding import decode, encode
from cellyard.artifacts.store import prepare_fork
from cellyard.worker.processes import adopt_orphans, die_with_parent, end_adopted, end_children

__all__ = ["import_safely", "main"]

_END_WITHIN = 2.0
_SWEEP_AGAIN = 0.005


def main() -> None:
    """Import, then fork on demand until the control socket closes or SIGTERM comes; never returns."""
    descriptor, owner, (folder, store, *packages) = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    die_with_parent(owner)
    adopt_orphans()
    os.setsid()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _leave)
    control = socket.socket(fileno=descriptor)
    status = 0
    try:
        _put_before_installed(folder)
        _work(control, packages, folder, store)
    except SystemExit:
        status = 0  # by SIGTERM
    except Exception:  # noqa: BLE001 - whatever it was, the steps are ended all the same
        traceback.print_exc()
        status = 1
    finally:
        _end_all_steps()
        os._exit(status)  # taking the imported packages apart would take longer than anything above


def _put_before_installed(folder: str) -> None:
    """Have packages that the image lacks, or has in another version, found before its own, but after Python's."""
    if folder:
        before = set(sys.path)
        site.addsitedir(folder)
        added = [each for each in sys.path if each not in before]
        rest = [each for each in sys.path if each in before]
        place = next((i for i, each in enumerate(rest) if each in _installed()), len(rest))
        sys.path[:] = [*rest[:place], *added, *rest[place:]]
        # For processes that a step starts.
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [folder, os.environ.get("PYTHONPATH")]))


def _work(control: socket.socket, packages: Iterable[str], folder: str, store: str) -> None:
    gc.disable()  # until all is imported, as in the engine
    _make_shell()
    prepare_fork(store)
    imported, unsafe = import_safely(packages, folder)
    _warm_shell()
    gc.collect()
    gc.freeze()  # a collection in a child would otherwise touch, and so copy, every page of the parent
    gc.enable()
    control.send(encode(["ready", imported, unsafe]))
    _Parent(control, store).serve()


def _leave(*_: object) -> None:
    raise SystemExit


def _end_all_steps() -> None:
    """Kill the children, and whatever comes to us when they are gone: steps start daemons too."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    deadline = time.monotonic() + _END_WITHIN
    while end_children() and time.monotonic() < deadline:
        time.sleep(0.001)


def import_safely(packages: Iterable[str], folder: str = "") -> tuple[list[str], list[str]]:
    """Import installed packages, also those in ``folder``; those that start a thread are named second, those that fail
    not at all."""
    imported: list[str] = []
    unsafe: list[str] = []
    threads = _threads()
    for name in packages:
        if not _is_installed(name, folder):
            continue
        try:
            importlib.import_module(name)
        except Exception as error:  # noqa: BLE001 - the step that needs it will show the user the same error
            print(f"step parent: {name} was not imported ahead: {error!r}", file=sys.stderr)
            continue
        now = _threads()
        (unsafe if now > threads else imported).append(name)
        threads = now
    return imported, unsafe


def _installed() -> set[str]:
    return {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}


def _is_installed(name: str, folder: str) -> bool:
    """True for packages of the environment; modules beside the notebook may change between steps."""
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return False
    try:
        found = importlib.util.find_spec(top)
    except (ImportError, ValueError):
        return False
    places = {*_installed(), folder}
    origin = (found.origin or "") if found is not None else ""
    return any(origin.startswith(place + os.sep) for place in places if place)


def _threads() -> int:
    tasks = Path("/proc/self/task")
    return len(list(tasks.iterdir())) if tasks.exists() else 1


def _make_shell() -> None:
    """A shell before any import: some packages look at their import whether they are in a notebook."""
    from cellyard.worker.shell import make_shell

    make_shell()


def _warm_shell() -> None:
    """Have the shell run one cell and format one traceback, so that no child pays for the first of each."""
    from cellyard.worker.shell import warm

    warm()


class _Parent:
    def __init__(self, control: socket.socket, store: str) -> None:
        self._control = control
        self._store = store
        self._children: set[int] = set()
        self._ends_others = False

    def serve(self) -> None:
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        os.set_blocking(reader, False)
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        sources: list[Any] = [self._control, reader]
        while True:
            ready, _, _ = select.select(sources, [], [], _SWEEP_AGAIN if self._ends_others else None)
            if reader in ready:
                os.read(reader, 4096)
            if reader in ready or self._ends_others:
                self._reap()
            if self._control in ready and not self._obey((reader, writer)):
                return

    def _obey(self, wakeup: tuple[int, int]) -> bool:
        data, descriptors, _, _ = socket.recv_fds(self._control, 4096, 4)
        if not data:
            return False
        if decode(data)[0] == "fork":
            channel = socket.socket(fileno=descriptors[0])
            # Held back from before the fork on, so that no interrupt is lost on a child that is not ready for it.
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            owner = os.getpid()
            pid = os.fork()
            if pid == 0:
                self._become_child(channel, wakeup, owner)
            channel.close()
            self._children.add(pid)
            self._control.send(encode(["forked", pid]))
        return True

    def _become_child(self, channel: socket.socket, wakeup: tuple[int, int], owner: int) -> None:
        """Leave everything of the parent behind; never returns."""
        status = 1
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
            for descriptor in wakeup:
                os.close(descriptor)
            self._control.close()
            _forget_random_state()
            from cellyard.worker.child import serve_one_step

            serve_one_step(channel, owner, self._store)
            status = 0
        finally:
            os._exit(status)

    def _reap(self) -> None:
        """Tell of children that ended, then end what they left, until nothing is left of that either."""
        reaped = self._ends_others
        while (ended := _next_ended()) is not None:
            reaped = True
            pid, status = ended
            if pid in self._children:
                self._children.discard(pid)
                self._control.send(encode(["exited", pid, status]))
        if reaped:
            self._ends_others = end_adopted(self._children) > 0


def _next_ended() -> tuple[int, int] | None:
    try:
        pid, status = os.waitpid(-1, os.WNOHANG)
    except ChildProcessError:
        return None
    return (pid, status) if pid else None


def _forget_random_state() -> None:
    """numpy's would be the parent's in every child; Python's own ``random`` sees to that itself."""
    if (numpy_random := sys.modules.get("numpy.random")) is not None:
        numpy_random.seed()


if __name__ == "__main__":
    main()
