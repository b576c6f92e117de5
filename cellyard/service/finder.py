"""EngineFinder: a connection to the engine that serves these settings, started or replaced first if need be.

Light: what a kernel imports. Knows nothing of steps and runs.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from cellyard import __version__
from cellyard.errors import EngineMismatch, EngineUnavailable
from cellyard.service.lifecycle import EngineProcess, log_tail, spawn_engine
from cellyard.service.wire import Broken, Connection, Unreachable
from cellyard.settings import Settings
from cellyard.tables import aligned

__all__ = ["EngineFinder"]

START_DEADLINE = 20.0
_PAUSE = 0.005
_RESPAWN_PAUSE = 0.25
SILENCE = 30.0
"""Seconds without a byte after which a connection counts as broken; the engine sends signs of life more often."""


class EngineFinder:
    """Finds, starts and replaces the engine of one store."""

    def __init__(self, settings: Settings, *, notify: Callable[[str], None]) -> None:
        self.settings = settings
        self._notify = notify
        self._accepted_pid = 0

    def look(self) -> dict[str, Any] | None:
        """What the engine says of itself (GET /v1/engine); None when none answers. Starts nothing."""
        try:
            connection = self._open()
        except Unreachable:
            return None
        try:
            return self._greet(connection)
        except Broken:
            return None
        finally:
            connection.close()

    def forget(self) -> None:
        """Look again at the next connection whether its engine may be used (it said that it is leaving)."""
        self._accepted_pid = 0

    def connect(self) -> Connection:
        """A new connection to an engine of this version and environment, which is started, or replaces one
        of another version, if need be.

        Raises EngineUnavailable (none answered in 20 s; with the end of its log) or EngineMismatch.
        """
        starting = _Starting(self.settings)
        while True:
            try:
                connection = self._open()
            except Unreachable:
                starting.advance()
                time.sleep(_PAUSE)
                continue
            accepted = False
            try:
                accepted = self._is_accepted(connection, starting)
            except Broken:
                starting.check_deadline()
                time.sleep(_PAUSE)
            finally:
                if not accepted:
                    connection.close()
            if accepted:
                return connection

    def _open(self) -> Connection:
        connection = Connection(self.settings.socket)
        connection.open(timeout=SILENCE)
        return connection

    def _greet(self, connection: Connection) -> dict[str, Any]:
        facts: dict[str, Any] = json.loads(connection.request("GET", "/v1/engine").read())
        return facts

    def _is_accepted(self, connection: Connection, starting: _Starting) -> bool:
        """Whether the engine at the other end may be used. One that may not was asked to leave, and had time."""
        pid = connection.peer_pid()
        if pid and pid == self._accepted_pid:
            return True
        facts = self._greet(connection)
        self._check_prefix(facts)
        if facts["version"] == __version__ and facts["state"] == "ready":
            self._accepted_pid = pid
            return True
        if facts["version"] != __version__:
            self._check_outdated(facts, starting)
            connection.request("POST", "/v1/engine/stop", b'{"drain": true}').read()
        self._await_departure(facts)
        starting.begin_again()
        return False

    def _check_prefix(self, facts: Mapping[str, Any]) -> None:
        if facts["prefix"] == sys.prefix:
            return
        hint = (
            "Give this environment its own store (CELLYARD_STORE or CELLYARD_HOME), or stop the other engine "
            "with its `cellyard engine stop`."
        )
        raise EngineMismatch(table=_table(facts), hint=hint)

    def _check_outdated(self, facts: Mapping[str, Any], starting: _Starting) -> None:
        """An engine of the version that is installed is right, and this process is what is left of another."""
        from importlib.metadata import PackageNotFoundError, version

        try:
            installed = version("cellyard")
        except PackageNotFoundError:
            installed = __version__
        if starting.replaced or (facts["version"] == installed and installed != __version__):
            hint = "cellyard was changed while this process was running: restart it (the kernel)."
            raise EngineMismatch(table=_table(facts), hint=hint)
        starting.replaced = True

    def _await_departure(self, facts: Mapping[str, Any]) -> None:
        """Wait until that engine is gone. No deadline: its running steps may take long, and are waited for."""
        told = False
        while (now := self.look()) is not None and now["pid"] == facts["pid"]:
            if now["running"] and not told:
                self._notify(
                    f"waiting for {now['running']} running step(s) of the engine of cellyard {now['version']} "
                    f"(pid {now['pid']}), which is then replaced; `cellyard engine stop --now` ends them"
                )
                told = True
            time.sleep(0.05)


class _Starting:
    """One wait for an engine: starts the process, and again when it found the lock taken."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._process: EngineProcess | None = None
        self.replaced = False
        self.begin_again()

    def begin_again(self) -> None:
        self._began = time.monotonic()
        self._spawned = 0.0
        self._process = None

    def advance(self) -> None:
        """Called while nothing answers. Raises EngineUnavailable at the deadline, or when the engine failed."""
        code = self._process.poll() if self._process is not None else 0
        self.check_deadline(code or 0)
        # Code 0: another process had the lock. It may have been one that was about to leave.
        if code == 0 and time.monotonic() - self._spawned > _RESPAWN_PAUSE:
            self._process = spawn_engine(self._settings)
            self._spawned = time.monotonic()

    def check_deadline(self, code: int = 0) -> None:
        waited = time.monotonic() - self._began
        if code or waited > START_DEADLINE:
            found = f"{waited:.1f} s" + (f" (its process ended with code {code})" if code else "")
            raise EngineUnavailable(waited=found, log=log_tail(self._settings))


def _table(facts: Mapping[str, Any]) -> str:
    ours = {"version": __version__, "python": sys.version.split()[0], "prefix": sys.prefix}
    rows = [("", "this process", "the engine"), *((key, ours[key], str(facts[key])) for key in ours)]
    return "\n".join(f"  {line}" for line in aligned(rows))
