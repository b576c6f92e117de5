"""A Dask connection to a pod through the Kubernetes API: no local port, which others on this machine could use.

An address ``kube://POD:PORT`` is connected by the API server's port-forwarding, on one end of a pair of sockets whose
other end Dask has. :func:`use_api` says by which server.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from typing import Any

import httpx_ws
from distributed.comm.registry import backends
from distributed.comm.tcp import TCP, BaseTCPBackend, TCPConnector
from tornado.iostream import IOStream

from cellyard.backends.dask_on_kubernetes.api import KubernetesApi
from cellyard.errors import ClusterUnreachable

__all__ = ["SCHEME", "use_api"]

SCHEME = "kube"
_CHUNK = 1 << 18
_MOST_BUFFERED = 1 << 30


def use_api(api: KubernetesApi) -> None:
    """From now on Dask knows addresses of pods, by way of this server."""
    backends[SCHEME] = _PodBackend(api)


class _PodConnector(TCPConnector):
    prefix = f"{SCHEME}://"

    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    async def connect(self, address: str, deserialize: bool = True, **connection_args: Any) -> TCP:
        pod, _, port = address.partition(":")
        ours, theirs = socket.socketpair()
        opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        pumping = asyncio.create_task(_pump(self._api, pod, int(port), ours, opened))
        _running.add(pumping)
        pumping.add_done_callback(_running.discard)
        try:
            await opened
        except BaseException as error:
            theirs.close()
            pumping.cancel()
            if isinstance(error, ClusterUnreachable):
                raise OSError(str(error)) from error
            raise
        stream = IOStream(_Pair(fileno=theirs.detach()), max_buffer_size=_MOST_BUFFERED)
        return TCP(stream, f"{self.prefix}here", self.prefix + address, deserialize)


class _PodBackend(BaseTCPBackend):
    def __init__(self, api: KubernetesApi) -> None:
        self._api = api

    def get_connector(self) -> _PodConnector:
        return _PodConnector(self._api)

    def get_address_host(self, loc: str) -> str:
        return loc.partition(":")[0]

    def resolve_address(self, loc: str) -> str:
        return loc

    def get_local_address_for(self, loc: str) -> str:
        return "here"


class _Pair(socket.socket):
    """One of a pair of sockets, where Dask takes it for a connection by TCP."""

    def setsockopt(self, level: int, *args: Any) -> None:
        if level != socket.SOL_TCP:
            super().setsockopt(level, *args)


_running: set[asyncio.Task[None]] = set()


async def _pump(api: KubernetesApi, pod: str, port: int, sock: socket.socket, opened: asyncio.Future[None]) -> None:
    """Carry bytes between the socket and the pod until either ends; then close both."""
    reader, writer = await asyncio.open_connection(sock=sock)
    try:
        async with api.port(pod, port) as remote:
            opened.set_result(None)
            ways = [asyncio.create_task(_outward(reader, remote)), asyncio.create_task(_inward(remote, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for each in ways:
                    each.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
    except ClusterUnreachable as error:
        if not opened.done():
            opened.set_exception(error)
    finally:
        if not opened.done():
            opened.cancel()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _outward(reader: asyncio.StreamReader, remote: httpx_ws.AsyncWebSocketSession) -> None:
    while data := await reader.read(_CHUNK):
        await remote.send_bytes(b"\x00" + data)


async def _inward(remote: httpx_ws.AsyncWebSocketSession, writer: asyncio.StreamWriter) -> None:
    named: set[int] = set()
    while True:
        message = await remote.receive_bytes()
        channel = message[0]
        if channel not in named:
            named.add(channel)
        elif channel == 0:
            writer.write(message[1:])
            await writer.drain()
        else:
            return
