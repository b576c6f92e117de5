"""The engine's lock, socket and log in the runtime folder, and starting the process. Light: no HTTP, no SQL.

The lock is held for the engine's life. Whoever holds it owns the socket's name.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from pathlib import Path

from cellyard.lock_file import LockFile
from cellyard.settings import Settings, prepare_runtime

__all__ = [
    "EngineProcess",
    "bind_socket",
    "engine_lock",
    "lives",
    "log_path",
    "log_tail",
    "remove_socket",
    "spawn_engine",
]

_LOG_LIMIT = 1 << 20
# What belongs to one kernel or one run, and would be wrong for every later step of this engine.
_NOT_INHERITED = ("CELLYARD_RUN", "CELLYARD_NOTEBOOK", "JPY_PARENT_PID", "JPY_SESSION_NAME", "MPLBACKEND")
_started: list[EngineProcess] = []


def engine_lock(settings: Settings) -> LockFile:
    """The right to be the engine of one runtime folder."""
    return LockFile(settings.runtime / "engine.lock")


def bind_socket(settings: Settings) -> socket.socket:
    """A listening Unix socket (mode 0600) at ``settings.socket``. The caller holds the lock.

    It is bound beside its name and renamed, so that whoever finds the name finds a socket that answers, and
    one left by a dead engine is in nobody's way.
    """
    unfinished = settings.socket.with_name(f"{settings.socket.name}.{os.getpid()}")
    unfinished.unlink(missing_ok=True)
    listening = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listening.bind(str(unfinished))
    unfinished.chmod(0o600)
    listening.listen(128)
    unfinished.rename(settings.socket)
    return listening


def remove_socket(settings: Settings) -> None:
    """Take the name away, so that the next client starts a new engine. The caller still holds the lock."""
    settings.socket.unlink(missing_ok=True)


def log_path(settings: Settings) -> Path:
    """The engine's log."""
    return settings.runtime / "engine.log"


def log_tail(settings: Settings, *, lines: int = 15) -> str:
    """The end of the engine's log, introduced by where it is; says so when there is none."""
    path = log_path(settings)
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - 16_384))
            tail = file.read().decode("utf-8", "replace").splitlines()[-lines:]
    except OSError:
        return f"It left no log in {path.parent}."
    return "\n".join([f"The end of its log, {path}:", *(f"    {line}" for line in tail)])


class EngineProcess:
    """An engine process that this one has started. It outlives this one, and nobody has to wait for it."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self._code: int | None = None

    def poll(self) -> int | None:
        """The exit code once it has ended (negative: the signal); None while it runs."""
        if self._code is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:
                # Someone in this process waits for every child.
                pid, status = self.pid, 0
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code


def spawn_engine(settings: Settings) -> EngineProcess:
    """Start an engine process in the background, its output in the log. Returns at once.

    The process leaves again, with exit code 0, when another one holds the lock.
    """
    prepare_runtime(settings)
    environment = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
    path = log_path(settings)
    with contextlib.suppress(FileNotFoundError):
        if path.stat().st_size > _LOG_LIMIT:
            path.replace(path.with_suffix(".log.1"))
    # Not subprocess: its object warns when it is collected while the process runs, which is what is wanted here.
    pid = os.posix_spawn(
        sys.executable,
        # -P: a module in the current folder must not stand in for one of ours.
        [sys.executable, "-P", "-m", "cellyard.service"],
        environment | settings.to_env(),
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
            (os.POSIX_SPAWN_OPEN, 1, str(path), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600),
            (os.POSIX_SPAWN_DUP2, 1, 2),
        ],
        setsigmask=(),
        setsigdef=(signal.SIGINT, signal.SIGTERM),
    )
    _reap()
    _started.append(process := EngineProcess(pid))
    return process


def lives(pid: int) -> bool:
    """Whether that engine's process is still there: it closes its socket some time before it ends."""
    _reap()
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"  # ended, and whoever started it has not looked


def _reap() -> None:
    """Let go of engines that have ended since: nobody else asks for their exit codes."""
    _started[:] = [process for process in _started if process.poll() is None]
