"""EngineCaller: requests to the engine and their answers, over connections that are kept. Light: standard library only.

Every call starts the engine when none answers. Errors of the engine are raised here as the same classes.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlencode

from cellyard.errors import CellyardError, EngineEnded, EngineLeaving, EngineUnavailable, error_from_dict
from cellyard.service.finder import EngineFinder
from cellyard.service.following import MOST_BREAKS, Opened
from cellyard.service.wire import Broken, Connection, Response
from cellyard.settings import Settings, load_settings

__all__ = ["EngineCaller", "Json", "query"]

Json = dict[str, Any]
Parser = Callable[[bytes], Any]


def query(wanted: Mapping[str, Any]) -> str:
    """The end of a target that asks for this; what is None is not asked for."""
    return "?" + urlencode({key: value for key, value in wanted.items() if value is not None}, doseq=True)


class _NotBegun(Broken):
    """The engine is leaving and has taken nothing."""


def _data(body: Mapping[str, Any] | list[Any] | None) -> bytes:
    given = dict(body) if isinstance(body, Mapping) else body
    return json.dumps(given).encode() if given is not None else b""


class EngineCaller:
    """What every family of calls is made with. Any thread may use it; after a fork it opens connections of its own."""

    def __init__(self, settings: Settings | None = None, *, notify: Callable[[str], None] | None = None):
        self.settings = settings or load_settings()
        self._finder = EngineFinder(self.settings, notify=notify or (lambda text: None))
        self._idle: list[Connection] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """Close the connections that are kept; the client may be used again."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def _call(
        self, method: str, target: str, body: Mapping[str, Any] | list[Any] | None = None, parse: Parser = json.loads
    ) -> Any:
        """A request that does no harm when it is carried out twice: it is repeated when the engine ends under it."""
        for _ in range(MOST_BREAKS):
            try:
                return self._exchange(method, target, _data(body), parse)
            except Broken as error:
                broken = error
        raise EngineUnavailable(waited=f"{MOST_BREAKS} attempts", log=str(broken)) from broken

    def _call_once(self, target: str, body: Mapping[str, Any], parse: Parser = json.loads) -> Any:
        """A POST that must not be carried out twice; EngineEnded where nobody knows whether it was."""
        for _ in range(MOST_BREAKS):
            try:
                return self._exchange("POST", target, _data(body), parse)
            except _NotBegun as error:
                broken = error
            except Broken as error:
                raise EngineEnded(reason=str(error)) from error
        raise EngineUnavailable(waited=f"{MOST_BREAKS} attempts", log=str(broken)) from broken

    def _exchange(self, method: str, target: str, data: bytes, parse: Parser) -> Any:
        connection = self._connection()
        try:
            response = connection.request(method, target, data)
            answer = response.read()
        except BaseException:
            connection.close()
            raise
        self._release(connection)
        if response.status >= 400:
            raise self._error(response, answer)
        return parse(answer)

    def _stream(self, method: str, target: str, data: bytes = b"", *, over: Connection | None = None) -> Opened:
        """An answer whose body is still to be read, ``over`` a connection that is there, if one is given. Raises what
        the engine refused, and Broken."""
        connection = over or self._connection()
        try:
            response = connection.request(method, target, data)
            if response.status == 200:
                return connection, response
            answer = response.read()
        except BaseException:
            # Ctrl-C among others: the answer may still come, and nobody would read it.
            connection.close()
            raise
        self._release(connection)
        raise self._error(response, answer)

    def _error(self, response: Response, answer: bytes) -> Exception:
        try:
            error = error_from_dict(json.loads(answer))
        except ValueError:
            return CellyardError(f"the engine answered {response.status}: {answer[:500]!r}")
        if isinstance(error, EngineLeaving):
            # Nothing was begun; the next connection waits for its end and finds the engine after it.
            self.close()
            self._finder.forget()
            return _NotBegun(str(error))
        return error

    def _connection(self) -> Connection:
        with self._lock:
            while self._idle:
                connection = self._idle.pop()
                if connection.is_reusable():
                    return connection
                connection.close()
        return self._finder.connect()

    def _release(self, connection: Connection) -> None:
        with self._lock:
            if connection.is_reusable() and len(self._idle) < 4:
                self._idle.append(connection)
                return
        connection.close()
