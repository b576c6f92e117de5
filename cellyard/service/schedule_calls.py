"""ScheduleCalls: what the engine's client can ask about schedules. Light: standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from cellyard.service.caller import EngineCaller, Json

__all__ = ["ScheduleCalls"]


class ScheduleCalls(EngineCaller):
    """Part of EngineClient."""

    def schedules(self) -> Json:
        """``schedules`` by name, each with its ``next`` times and ``last`` firing; ``notes`` on all of them."""
        found: Json = self._call("GET", "/v1/schedules")
        return found

    def add_schedule(self, wanted: Mapping[str, Any]) -> Json:
        """Make a schedule (path, expression, timezone, on_change, ...: see POST /v1/schedules), or with ``replace``
        have the one of that name run this from now on; it keeps what is not given. Raises UsageError."""
        found: Json = self._call_once("/v1/schedules", wanted)
        return found

    def change_schedule(self, name: str, state: str) -> Json:
        """Pause it ("paused"), or let it go on ("active"). Raises NotFound."""
        found: Json = self._call("PATCH", f"/v1/schedules/{quote(name, safe='')}", {"state": state})
        return found

    def edit_schedule(self, name: str, changes: Mapping[str, Any]) -> Json:
        """Change when and with what it runs (expression, timezone, parameters, missed, overlap). Raises NotFound, and
        UsageError for what cannot be meant."""
        found: Json = self._call("PATCH", f"/v1/schedules/{quote(name, safe='')}", dict(changes))
        return found

    def remove_schedule(self, name: str) -> Json:
        """Take it away; its runs stay on record. Raises NotFound."""
        found: Json = self._call("DELETE", f"/v1/schedules/{quote(name, safe='')}")
        return found

    def run_schedule(self, name: str) -> Json:
        """Start a run of it now; returns the firing. Raises NotFound."""
        found: Json = self._call_once(f"/v1/schedules/{quote(name, safe='')}/run-now", {})
        return found

    def schedule_history(self, name: str, *, limit: int = 20) -> list[Json]:
        """The times that it came, the newest first. Raises NotFound."""
        target = f"/v1/schedules/{quote(name, safe='')}/history?limit={limit}"
        found: list[Json] = self._call("GET", target)["firings"]
        return found
