"""The routes below ``/cellyard``. Jupyter decides who is let in; the engine answers.

``/cellyard/api/v1/...``  the engine's own API, method by method, streams of events included
``/cellyard/status``      whether an engine runs, and the folder of the server's files; starts nothing
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web
from tornado.iostream import StreamClosedError

from cellyard import __version__
from cellyard.errors import CellyardError, EngineMismatch, EngineUnavailable
from cellyard.settings import load_settings
from jupyter_ext.link import EngineLink

__all__ = ["EngineHandler", "StatusHandler", "add_handlers"]

RESOURCE = "cellyard"
"""What Jupyter's authorizers are asked about: (user, "read" | "write" | "execute", "cellyard")."""
_STATUS: tuple[tuple[type[CellyardError], int], ...] = (
    (EngineUnavailable, 503),
    (EngineMismatch, 409),
    (CellyardError, 500),
)


class _CellyardHandler(APIHandler):
    """What both have: the link, and our errors as answers."""

    auth_resource = RESOURCE

    def initialize(self, link: EngineLink) -> None:
        self.link = link

    async def answering(self, work: Awaitable[None]) -> None:
        """Do the work; the one place where an error of ours becomes an answer."""
        try:
            await work
        except CellyardError as error:
            self.set_status(next(status for kind, status in _STATUS if isinstance(error, kind)))
            self.finish(error.to_dict())


class StatusHandler(_CellyardHandler):
    """``GET /cellyard/status``."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        await self.answering(self._tell())

    async def _tell(self) -> None:
        root = getattr(self.contents_manager, "root_dir", None)
        folder = os.path.abspath(os.path.expanduser(root)) if isinstance(root, str) else None  # noqa: PTH100, PTH111
        self.finish({"version": __version__, "engine": await self.link.look(), "root": folder})


class EngineHandler(_CellyardHandler):
    """``/cellyard/api/v1/...``. ``?start=0`` asks only an engine that runs."""

    def initialize(self, link: EngineLink) -> None:
        super().initialize(link)
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def on_connection_close(self) -> None:
        super().on_connection_close()
        if not self._gone.done():
            self._gone.set_result(None)

    @web.authenticated
    @authorized
    async def get(self, path: str) -> None:
        await self.answering(self._forward(path))

    # The decorators look at the request's own method.
    post = put = patch = delete = get

    async def _forward(self, path: str) -> None:
        method = self.request.method or "GET"
        target, starts = _target(self.request.uri or "", path)
        async with self.link.open(method, target, self.request.body, starts=starts) as answer:
            self.set_status(answer.status_code)
            kind = answer.headers.get("content-type", "application/json")
            self.set_header("Content-Type", kind)
            if "content-length" in answer.headers:
                self.finish(await answer.aread())
            else:
                await self._stream(answer)

    async def _stream(self, answer: httpx.Response) -> None:
        """Pass on what comes as it comes, until one of the two ends."""
        self.set_header("Cache-Control", "no-store")
        # Of proxies before this server: not to collect what is meant to be live.
        self.set_header("X-Accel-Buffering", "no")
        passing = asyncio.ensure_future(self._pass_on(answer))
        await asyncio.wait({passing, self._gone}, return_when=asyncio.FIRST_COMPLETED)
        if not passing.done():
            passing.cancel()
        (ended,) = await asyncio.gather(passing, return_exceptions=True)
        # An engine that ends breaks the stream off, and so does a reader that leaves: neither is an error here. The
        # reader sees that the stream's own end is missing.
        if isinstance(ended, httpx.TransportError):
            self.log.info("the engine's answer to %s broke off: %r", self.request.path, ended)
        elif isinstance(ended, Exception) and not isinstance(ended, StreamClosedError):
            raise ended

    async def _pass_on(self, answer: httpx.Response) -> None:
        await self.flush()
        async for piece in answer.aiter_raw():
            self.write(piece)
            await self.flush()


def _target(uri: str, path: str) -> tuple[str, bool]:
    """The engine's target for a request's own, and whether an engine may be started for it."""
    asked = urlsplit(uri)
    # As it was sent: what is percent-encoded must stay so.
    raw = asked.path[asked.path.index("/cellyard/api/") + len("/cellyard/api") :] if path else ""
    query = parse_qsl(asked.query, keep_blank_values=True)
    kept = [(key, value) for key, value in query if key not in ("token", "start")]
    return raw + ("?" + urlencode(kept) if kept else ""), ("start", "0") not in query


def add_handlers(server: Any) -> None:
    """Serve the routes from this Jupyter server."""
    link = EngineLink(load_settings())
    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(
        ".*$",
        [
            (url_path_join(base, "cellyard/status"), StatusHandler, {"link": link}),
            (url_path_join(base, r"cellyard/api/(v1/.*)"), EngineHandler, {"link": link}),
        ],
    )
    server.log.info("cellyard %s is served at %scellyard/", __version__, base)
