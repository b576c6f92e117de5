"""The engine process, from its lock to its end. Everything heavy is imported after the backend's process has
been started, so that both import side by side."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import logging.handlers
import os
import signal
import socket
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from cellyard import __version__
from cellyard.backends.base import Backend
from cellyard.service.lifecycle import bind_socket, engine_lock, log_path, remove_socket
from cellyard.settings import Settings, load_settings, prepare_runtime

if TYPE_CHECKING:
    from cellyard.service.engine import Engine

__all__ = ["main", "serve"]

_LOG_SIZE = 1 << 20
_SHUTDOWN = 5
_log = logging.getLogger(__name__)


def main(settings: Settings | None = None, *, foreground: bool = False) -> int:
    """Be the engine of these settings until it is time to leave; returns the exit code.

    Returns 0 at once when another process is that engine already.
    """
    settings = settings or load_settings()
    prepare_runtime(settings)
    lock = engine_lock(settings)
    if not lock.acquire(f"process {os.getpid()}, cellyard {__version__} of {sys.prefix}"):
        return 0
    # Collecting in the middle of imports costs a tenth of the start and frees nothing.
    gc.disable()
    try:
        if not foreground:
            _detach()
        _log_to(settings, foreground=foreground)
        serve(settings)
    finally:
        lock.release()
    return 0


def _detach() -> None:
    """A session of our own, in no folder that someone may want to remove: whoever started us may go."""
    os.chdir("/")
    with contextlib.suppress(PermissionError):
        # Refused to the leader of a process group, for example under `setsid` or a process manager.
        os.setsid()


def serve(settings: Settings) -> None:
    """Serve until it is time to leave. The caller holds the lock."""
    # The loop must not wait 5 ms, Python's default, for the thread that writes the records.
    sys.setswitchinterval(0.0005)
    backend = _start_backend(settings)
    # From here on imports are heavy; the backend's process does its own meanwhile.
    import uvloop

    from cellyard.service.app import make_app

    async def run() -> None:
        from cellyard.service.engine import Engine

        engine = Engine(settings, backend)
        engine.start()
        with _listening(settings) as listening:
            await _serve(make_app(engine), engine, listening)

    uvloop.run(run())


def _start_backend(settings: Settings) -> Backend:
    from cellyard.backends.registry import create_backend

    backend: Any = create_backend(settings.backend, settings)
    backend.start_process()
    found: Backend = backend
    return found


@contextlib.contextmanager
def _listening(settings: Settings) -> Iterator[socket.socket]:
    listening = bind_socket(settings)
    _log.info("cellyard %s listens at %s, pid %d", __version__, settings.socket, os.getpid())
    try:
        yield listening
    finally:
        remove_socket(settings)
        listening.close()


async def _serve(app: Any, engine: Engine, listening: socket.socket) -> None:
    import uvicorn

    class Server(uvicorn.Server):
        """uvicorn without its own signal handlers: it would end the process before the engine has closed."""

        @contextlib.contextmanager
        def capture_signals(self) -> Iterator[None]:
            yield

    config = uvicorn.Config(
        app,
        http="httptools",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        date_header=False,
        server_header=False,
        timeout_keep_alive=3600,
        timeout_graceful_shutdown=_SHUTDOWN,
    )
    server = Server(config)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.stop_now)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    await engine.watch()
    # The name goes first: whoever comes now starts the next engine, which waits for nothing but the lock.
    remove_socket(engine.settings)
    await engine.close()
    server.should_exit = True
    await serving
    _log.info("left")


def _log_to(settings: Settings, *, foreground: bool) -> None:
    handler: logging.Handler
    if foreground:
        handler = logging.StreamHandler()
    else:
        handler = logging.handlers.RotatingFileHandler(log_path(settings), maxBytes=_LOG_SIZE, backupCount=2)
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
