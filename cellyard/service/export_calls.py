"""ExportCalls: what the engine's client can ask about exports. Light: standard library only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cellyard.errors import CellyardError, UsageError
from cellyard.service.caller import EngineCaller, Json

__all__ = ["ExportCalls"]


class ExportCalls(EngineCaller):
    """Part of EngineClient."""

    def exporters(self) -> list[str]:
        """The names of what a notebook can be exported to."""
        return [str(each["name"]) for each in self._call("GET", "/v1/exporters")["exporters"]]

    def export(self, path: str, *, to: str, output: str, options: Mapping[str, Any] | None = None) -> Json:
        """Export a notebook (whole paths): what was said, the files, and the proof where it was asked for. Raises
        UsageError for what cannot be meant, CellyardError when it was not written."""
        body = {"path": path, "to": to, "output": output, "options": dict(options or {})}
        found: Json = self._call_once("/v1/export-jobs", body, _result)
        if found["code"] and found["proof"] is None and "proven" not in found["said"]:
            problem = str(found["problem"]).strip().removeprefix("cellyard: ") or str(found["said"]).strip()
            raise (UsageError if found["code"] == 2 else CellyardError)(problem)
        return found


def _result(answer: bytes) -> Json:
    """The last line; what was said before it is in it once more."""
    found: Json = json.loads(answer.rstrip().rpartition(b"\n")[2])["result"]
    return found
