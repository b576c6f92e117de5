"""PipelineCalls: what the engine's client asks about whole notebooks and results that may be taken again. Light."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cellyard.service.caller import EngineCaller, Json

__all__ = ["PipelineCalls"]


class PipelineCalls(EngineCaller):
    """The part of :class:`~cellyard.service.client.EngineClient` that is about pipelines."""

    def pipeline(
        self,
        *,
        path: str | None = None,
        notebook: Mapping[str, Any] | None = None,
        parameters: Mapping[str, Any] | None = None,
    ) -> Json:
        """The pipeline of a notebook, by its path or as a document of nbformat. Raises UsageError for what is none."""
        body = {"path": path, "notebook": notebook and dict(notebook), "parameters": dict(parameters or {})}
        found: Json = self._call("POST", "/v1/pipelines", body)
        return found

    def plan(self, **wanted: Any) -> Json:
        """What would be done with a notebook: ``path`` or ``notebook``, ``parameters``, ``only``, ``start``, ``force``,
        ``resumes``, ``details``. Raises UsageError."""
        found: Json = self._call("POST", "/v1/plans", _body(wanted))
        return found

    def start_pipeline(self, path: str, **wanted: Any) -> Json:
        """Run a notebook in a process of its own, and return the run at once. ``wanted``: as of :meth:`plan`, and on,
        jobs, priority, name, tags, output. Raises UsageError for a notebook that cannot run."""
        run: Json = self._call("POST", "/v1/pipeline-runs", {"path": path, **_body(wanted)})
        return run

    def resume_run(self, run: int, **wanted: Any) -> Json:
        """Go on, in a new run, where a failed, cancelled or lost one has stopped; returns the new one at once."""
        found: Json = self._call("POST", f"/v1/runs/{run}/resume", _body(wanted))
        return found

    def reuse(self, run: int, requests: list[Json]) -> list[Json]:
        """Have steps of an open run take their earlier results; what each has left and shown. One whose result is there
        no more is left out."""
        found: list[Json] = self._call("POST", f"/v1/runs/{run}/reuse", {"steps": requests})["steps"]
        return found

    def references(self) -> dict[str, float]:
        """Every object of the store that the records speak of, with the time of the newest run that does."""
        found: dict[str, float] = self._call("GET", "/v1/references")["references"]
        return found

    def forget_results(self, ids: list[str]) -> int:
        """Results that need these objects may not be taken any more; returns how many those were."""
        return int(self._call("POST", "/v1/references/forget", ids)["results"])

    def keep_cells(self, run: int, cells: list[Json]) -> None:
        """Keep what cells of a run have shown, for the next run of the same notebook."""
        self._call("POST", f"/v1/runs/{run}/cells", cells)


def _body(wanted: Mapping[str, Any]) -> Json:
    """What was given; ``from``, as programs ask for it, is no name in Python."""
    return {"from" if key == "start" else key: value for key, value in wanted.items() if value is not None}
