"""The connection to S3: one per process, on a thread and event loop of its own; none is carried across a fork.

Whoever calls waits, be it the main thread, a thread beside a running event loop, or several at once. s3fs is imported
when the first connection opens, or by :func:`prepare_fork` ahead of forks: importing starts no thread, connecting does.
"""

from __future__ import annotations

import asyncio
import atexit
import contextlib
import os
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

from cellyard.errors import InvalidSettings

__all__ = ["Connection", "connection", "prepare_fork"]

T = TypeVar("T")

CONNECT_TIMEOUT = 5.0
READ_TIMEOUT = 60.0
KEPT_ALIVE = 60.0
POOL = 32
"""HTTP connections that are kept."""
_THREADS = 4
_CLOSE_WITHIN = 2.0


class Connection:
    """One process's way to S3: a loop, threads for hashing and compressing, and an s3fs file system.

    ``reached`` is True once the server has answered anything.
    """

    def __init__(self) -> None:
        self.pid = os.getpid()
        self.reached = False
        self.loop = asyncio.new_event_loop()
        self.threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="cellyard-s3-work")
        self._files: Any = None
        self._replaced: list[Any] = []
        self._environment: dict[str, str] = {}
        self._opening = asyncio.Lock()
        self._thread = threading.Thread(target=self._serve, name="cellyard-s3", daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        asyncio.set_event_loop(self.loop)
        self.loop.run_forever()

    def submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        """Begin the work on the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do the work on the loop and wait for it; an interrupt of the wait cancels it."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """The function's result, worked out beside the loop."""
        return await self.loop.run_in_executor(self.threads, function, *arguments)

    async def files(self) -> Any:
        """The s3fs file system, with credentials and endpoint as the environment said when it was opened."""
        return self._files if self._files is not None else await self.open()

    async def open(self, *, renew: bool = False) -> Any:
        """The file system; a new one where the environment says otherwise than before, or with ``renew``."""
        async with self._opening:
            environment = _aws_environment()
            if self._files is None or renew or environment != self._environment:
                made = await _connect(environment)
                if self._files is not None:
                    self._replaced.append(self._files)  # others may be in the middle of a request
                self._files, self._environment = made, environment
        return self._files

    @property
    def endpoint(self) -> str:
        """Where the server is, as far as that is known; without what could be a secret."""
        client = getattr(self._files, "_s3", None)
        found = str(client.meta.endpoint_url) if client is not None else _endpoint_of(os.environ) or "AWS"
        scheme, separator, rest = found.partition("://")
        return f"{scheme}{separator}{rest.rpartition('@')[2]}"

    def close(self) -> None:
        """End the thread and all HTTP connections."""
        with contextlib.suppress(Exception):
            self.submit(self._close_files()).result(_CLOSE_WITHIN)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(_CLOSE_WITHIN)
        self.threads.shutdown(wait=False, cancel_futures=True)
        if not self._thread.is_alive():
            self.loop.close()

    async def _close_files(self) -> None:
        every, self._files, self._replaced = [self._files, *self._replaced], None, []
        for files in every:
            if files is not None:
                await files._s3creator.__aexit__(None, None, None)


async def _connect(environment: dict[str, str]) -> Any:
    # Reading the certificates takes longer than a small request, and without TLS there is nothing to verify.
    plain = _endpoint_of(environment).startswith("http://")
    return await _files({"verify": False} if plain else {}, plain=plain)


async def _files(client: dict[str, Any], *, plain: bool) -> Any:
    """A file system that sends each request once: who retries, and for how long, is decided above it."""
    s3fs = _import_s3fs()
    session = _new_session()
    files = s3fs.S3FileSystem(
        asynchronous=True,
        loop=asyncio.get_running_loop(),
        skip_instance_cache=True,
        session=session,
        client_kwargs=client,
        config_kwargs={
            "connect_timeout": CONNECT_TIMEOUT,
            "read_timeout": READ_TIMEOUT,
            "max_pool_connections": POOL,
            "connector_args": {"keepalive_timeout": KEPT_ALIVE},
            "retries": {"total_max_attempts": 1},
            # Every object is checked against its own hash when it is read; on its way there by TLS or its signature.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
            "s3": {} if plain else {"payload_signing_enabled": False},
        },
    )
    files.retries = 1
    await files.set_session()
    return files


def _import_s3fs() -> Any:
    try:
        import s3fs
    except ImportError as error:
        reason = f"the package s3fs is missing ({error}): pip install 'cellyard[s3]'."
        raise InvalidSettings(key="store", value="s3://…", origin="the settings", reason=reason) from error
    return s3fs


def _endpoint_of(environment: Any) -> str:
    return str(environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or "")


def _aws_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name.startswith("AWS_")}


# What botocore reads from its own data files for the first client takes it a tenth of a second; a fork brings it along.
_loaders: list[Any] = []


def _new_session() -> Any:
    from aiobotocore.session import AioSession

    session: Any = AioSession()  # type: ignore[no-untyped-call]
    if _loaders:
        session.register_component("data_loader", _loaders[0])
    return session


def prepare_fork() -> None:
    """Import all that a connection needs and go through making one, so that forked children only connect.

    Leaves neither thread nor connection behind. Nothing happens where s3fs is missing: the child will say so.
    """
    try:
        import s3fs  # noqa: F401
        import zstandard  # noqa: F401
    except ImportError:
        return
    _loaders[:] = [_new_session().get_component("data_loader")]
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(_rehearse())
    finally:
        loop.close()


#: Where nobody listens: a request there comes as far as one can without a server.
_NOWHERE = "http://127.0.0.1:1"


async def _rehearse() -> None:
    # With credentials of its own, or it would look for real ones, perhaps over the network.
    nobody = {"aws_access_key_id": "nobody", "aws_secret_access_key": "nothing", "region_name": "us-east-1"}
    files = await _files({**nobody, "endpoint_url": _NOWHERE, "verify": False}, plain=True)
    for method, more in (("put_object", {"Body": b"", "IfNoneMatch": "*"}), ("get_object", {"Range": "bytes=0-1"})):
        with contextlib.suppress(Exception):
            await files._call_s3(method, Bucket="nobodys", Key="nothing", **more)
    await files._s3creator.__aexit__(None, None, None)


_current: list[Connection] = []
_left_by_fork: list[Connection] = []
_guard = threading.Lock()


def connection() -> Connection:
    """This process's connection, made on first use."""
    found = _current
    if found and found[0].pid == os.getpid():
        return found[0]
    with _guard:
        if not _current:
            _current.append(Connection())
        return _current[0]


def _forget() -> None:
    """In a forked child: the connection is its parent's, and must not even be taken apart here."""
    global _guard  # noqa: PLW0603 - the parent's may be held by a thread that does not exist here
    _guard = threading.Lock()
    _left_by_fork.extend(_current)
    _current.clear()


@atexit.register
def _close() -> None:
    if _current and _current[0].pid == os.getpid():
        _current.pop().close()


os.register_at_fork(after_in_child=_forget)
