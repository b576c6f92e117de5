"""EngineClient: what kernel, server and command line use of the engine. Light: standard library only.

Every call starts the engine when none answers. Errors of the engine are raised here as the same classes.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from cellyard.errors import EngineUnavailable, NotFound
from cellyard.service.caller import Json, query
from cellyard.service.export_calls import ExportCalls
from cellyard.service.following import EventStream, Opened
from cellyard.service.lifecycle import lives
from cellyard.service.pipeline_calls import PipelineCalls
from cellyard.service.schedule_calls import ScheduleCalls
from cellyard.service.wire import Broken, Connection, Unreachable

__all__ = ["EngineClient", "StepStream"]


class EngineClient(ScheduleCalls, ExportCalls, PipelineCalls):
    """The engine of one store. Any thread may use it; after a fork it opens connections of its own.

    ``notify`` is given sentences for the user when something takes long (an engine of another version is
    finishing its steps).
    """

    # -- the engine itself

    def ensure(self) -> Json:
        """An engine of this version runs after the call; returns what it says of itself: version, pid, store,
        prefix, python, capacity, state, running. Raises EngineUnavailable or EngineMismatch."""
        facts: Json = self._call("GET", "/v1/engine")
        while facts["state"] != "ready":
            # One that is leaving still answers on old connections; a new one waits for its end.
            self.close()
            self._finder.forget()
            facts = self._call("GET", "/v1/engine")
        return facts

    def info(self) -> Json | None:
        """What the engine says of itself; None when none runs. Starts nothing."""
        return self._finder.look()

    def stop(self, *, drain: bool = True, timeout: float | None = None) -> bool:
        """Ask the engine to leave and wait until it is gone; False when none ran.

        With ``drain`` its running steps finish first; without, they are cancelled. EngineUnavailable when it
        is still there after ``timeout`` seconds (None: no deadline).
        """
        facts = self.info()
        if facts is None:
            return False
        self._ask_to_leave(drain)
        began = time.monotonic()
        state = facts["state"]
        while ((now := self.info()) is not None and now["pid"] == facts["pid"]) or lives(facts["pid"]):
            state = "ending" if now is None else f"{now['state']}, with {now['running']} step(s) running"
            if timeout is not None and time.monotonic() - began > timeout:
                last = f"It was asked to leave and is {state}."
                raise EngineUnavailable(waited=f"{timeout:g} s", log=last)
            time.sleep(0.02)
        return True

    def _ask_to_leave(self, drain: bool) -> None:
        # Not over _call: that would start an engine where none is left.
        connection = Connection(self.settings.socket)
        try:
            connection.open(timeout=30.0)
            connection.request("POST", "/v1/engine/stop", json.dumps({"drain": drain}).encode()).read()
        except (Unreachable, Broken):
            # It has left meanwhile.
            return
        finally:
            connection.close()

    # -- steps

    def submit_step(self, request: Mapping[str, Any]) -> StepStream:
        """Run a step (a StepRequest's dictionary). Its events: accepted first, finished last.

        What the engine refuses is raised by the first ``next``: UsageErrors (does not fit, already running),
        RecordsLocked. A step is never run twice, even if the engine dies at any moment.
        """
        return StepStream(self, json.dumps(dict(request)).encode())

    def attach(self, token: str) -> StepStream:
        """The events of a step that was submitted before, from the first one on; raises NotFound at the first ``next``
        where there is no such step."""
        return StepStream(self, None, token=token)

    def taken(self, tokens: Sequence[str]) -> None:
        """What these steps made has been taken over, and need not be offered to a later kernel."""
        self._call("POST", "/v1/steps/taken", {"tokens": list(tokens)})

    def untaken(self, notebook: str) -> list[Json]:
        """The steps that the notebook's cells have begun and that nobody follows: running, or ended and not taken."""
        found: list[Json] = self._call("GET", "/v1/notebooks/untaken" + query({"notebook": notebook}))["steps"]
        return found

    def samples(self, run: int, step: str, *, attempt: int | None = None) -> Json:
        """Memory and CPU time of an attempt (the newest, unless one is named) over its life. Raises NotFound."""
        found: Json = self._call("GET", f"/v1/runs/{run}/steps/{quote(step)}/samples" + query({"attempt": attempt}))
        return found

    def sizes(self, notebook: str) -> list[Json]:
        """For each step of a notebook: a proposed size, and what its latest attempts used."""
        found: list[Json] = self._call("GET", "/v1/notebooks/sizes" + query({"notebook": notebook}))["steps"]
        return found

    def lacking(self, resources: Mapping[str, Any], *, on: str = "", fit: bool = False) -> str | None:
        """What a step of that size could never get on that backend, in words; None when it fits. Raises
        InvalidSettings for a backend that is not known."""
        body = {"resources": dict(resources), "on": on, "fit": fit}
        found: str | None = self._call("POST", "/v1/sizes/lacking", body)["lacks"]
        return found

    def cost(self, run: int) -> Json:
        """What a run has cost, step by step, by the price table of the settings. Raises NotFound."""
        found: Json = self._call("GET", f"/v1/runs/{run}/cost")
        return found

    def interrupt(self, token: str) -> None:
        """Interrupt a step as the stop button does; unknown or finished tokens are ignored."""
        self._call("POST", f"/v1/steps/{quote(token)}/interrupt")

    def cancel(self, token: str) -> None:
        """Stop a step for good; unknown or finished tokens are ignored."""
        self._call("POST", f"/v1/steps/{quote(token)}/cancel")

    # -- runs

    def create_run(
        self,
        *,
        kind: str = "notebook",
        notebook: str,
        session: str = "",
        owner_pid: int | None = None,
        **origin: Any,
    ) -> Json:
        """Open a run that later steps join. It is lost when the process ``owner_pid`` (default: this one) ends
        without finishing it. ``origin``: name, owner, commit, changed, tags, parameters."""
        owner = os.getpid() if owner_pid is None else owner_pid
        body = {"kind": kind, "notebook": notebook, "session": session, "owner_pid": owner, **origin}
        run: Json = self._call("POST", "/v1/runs", body)
        return run

    def finish_run(self, run: int, *, state: str, error: Mapping[str, Any] | None = None) -> Json:
        """Say how a run that :meth:`create_run` opened has ended (succeeded, failed or cancelled)."""
        found: Json = self._call("POST", f"/v1/runs/{run}/finish", {"state": state, "error": error and dict(error)})
        return found

    def cancel_run(self, run: int) -> Json:
        """Cancel a run and all its live steps; returns the run. A finished run stays as it is."""
        found: Json = self._call("POST", f"/v1/runs/{run}/cancel")
        return found

    def runs(self, *, limit: int = 50, **wanted: Any) -> list[Json]:
        """The latest runs that fit, newest first. ``wanted``: notebook, state, tag (one or several), where, search, and
        before (a run's number) for the page after that run. Raises UsageError for a query that is not understood."""
        found: list[Json] = self._call("GET", "/v1/runs" + query({"limit": limit, **wanted}))["runs"]
        return found

    def label_run(
        self, run: int, *, add: Sequence[str] = (), remove: Sequence[str] = (), name: str | None = None
    ) -> Json:
        """Add tags, remove tags, give a name (an empty one takes it away); the run as it is then. Raises NotFound."""
        body = {"add": list(add), "remove": list(remove), "name": name}
        found: Json = self._call("PATCH", f"/v1/runs/{run}", body)
        return found

    def logged(self, run: int) -> Json:
        """What a run has logged: parameters, metrics (all their points), figures. Raises NotFound."""
        found: Json = self._call("GET", f"/v1/runs/{run}/logged")
        return found

    def compare_runs(self, run: int, other: int) -> Json:
        """What differs between two runs. Raises NotFound."""
        found: Json = self._call("GET", f"/v1/runs/{run}/compare/{other}")
        return found

    def report(self, run: int) -> str:
        """The run as one page of HTML. Raises NotFound."""
        found: str = self._call("GET", f"/v1/runs/{run}/report", parse=bytes.decode)
        return found

    def lineage(self, artifact: str, *, up: bool = True, down: bool = True) -> Json:
        """What led to an artifact, and what it led to. Raises NotFound, and UsageError where several are meant."""
        target = f"/v1/lineage/{quote(artifact, safe='')}" + query({"up": int(up), "down": int(down)})
        found: Json = self._call("GET", target)
        return found

    def log(self, entries: Sequence[Mapping[str, Any]], *, run: int | None = None, **origin: Any) -> int:
        """Add to what a run has logged. Without a run one is opened, of ``origin`` (notebook, session, owner, commit),
        which is over at once. Returns the run."""
        body = {"entries": list(entries), "run": run, **origin}
        return int(self._call("POST", "/v1/logged", body)["run"])

    def run(self, run: int) -> Json:
        """One run. Raises NotFound."""
        found: Json = self._call("GET", f"/v1/runs/{run}")
        return found

    def steps(self, run: int) -> list[Json]:
        """The steps of a run, in order. Raises NotFound."""
        found: list[Json] = self._call("GET", f"/v1/runs/{run}/steps")["steps"]
        return found

    def notebook_steps(self, notebook: str) -> list[Json]:
        """The latest step of each name that the notebook has run, in order of their names' first appearance."""
        found: list[Json] = self._call("GET", "/v1/notebooks/steps" + query({"notebook": notebook}))["steps"]
        return found

    # -- events

    def events(self, since: int = 0, *, run: int | None = None, follow: bool = False) -> EventStream:
        """Events after number ``since``, of one run or of all; with ``follow`` also those to come (for a run:
        until it has ended)."""
        target = f"/v1/runs/{run}/events" if run is not None else "/v1/events"

        def open_at(seq: int) -> Opened:
            return self._stream("GET", target + query({"since": seq, "follow": int(follow)}))

        return EventStream(open_at, self._release, since=since)


class StepStream(EventStream):
    """The events of one submitted step. ``token`` names the step to the engine from the start; ``run`` and
    ``step_id`` are known after the first event."""

    def __init__(self, client: EngineClient, body: bytes | None, *, token: str | None = None) -> None:
        super().__init__(self._open, client._release, since=0)
        self.token = token or os.urandom(16).hex()
        self.run: int | None = None
        self.step_id: int | None = None
        self._client = client
        self._body = body
        self._sent = False

    def poll(self, seconds: float | None) -> Json | None:
        """The next event, as of any stream; the first one says which run and step these are."""
        event = super().poll(seconds)
        if event is not None:
            self.run, self.step_id = event["run"], event["step_id"]
        return event

    @property
    def may_be_known(self) -> bool:
        """Whether any engine may have heard of the step."""
        return self._body is None or self._sent

    def interrupt(self) -> None:
        """Interrupt the step as the stop button does; its events go on until it has finished."""
        self._client.interrupt(self.token)

    def cancel(self) -> None:
        """Stop the step for good; its events go on until it has finished."""
        self._client.cancel(self.token)

    def _open(self, since: int) -> Opened:
        if self._body is None or self._sent:
            # Whether an engine that broke off had taken the step is known to the records alone.
            try:
                return self._client._stream("GET", f"/v1/steps/{self.token}/events?since={since}")
            except NotFound:
                if since or self._body is None:
                    raise
        connection = self._client._connection()
        self._sent = True
        return self._client._stream("POST", f"/v1/steps?token={self.token}", self._body, over=connection)
