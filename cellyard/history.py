"""History: earlier runs, their steps, logs and values, read from anywhere.

    history = cellyard.History()
    history.runs()                    the latest runs, newest first
    history.run(12)["train"]["model"]    a value that step train of run 12 made

What it shows is what the engine's records say when it is asked; values come from the store.
"""

from __future__ import annotations

import difflib
import time
import weakref
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from cellyard.artifacts import Store, load, open_store
from cellyard.artifacts.reference import is_held
from cellyard.errors import NotFound
from cellyard.model import Resources, format_duration, format_memory
from cellyard.service.client import EngineClient
from cellyard.settings import Settings, load_settings
from cellyard.tables import aligned, as_html

__all__ = ["History", "Run", "RunList", "Step"]

Json = Mapping[str, Any]


class History:
    """All that has run with one store.

    Starts the engine when none runs. Raises EngineUnavailable, and NotFound for what does not exist.
    """

    def __init__(self, settings: Settings | None = None) -> None:
        self._settings = settings or load_settings()
        client = EngineClient(self._settings)
        self._source = _Source(client, open_store(self._settings.store_address))
        # Nobody closes what is asked in passing, as in History().run(3).
        weakref.finalize(self._source, client.close)

    def runs(self, *, limit: int = 50, **wanted: Any) -> RunList:
        """The latest runs that fit, newest first: ``notebook``, ``state``, ``tag`` (one or several), ``where`` (as in
        ``metrics.auc > 0.9``), ``search`` (words), ``before`` (a run's number, for the page after it)."""
        found = self._source.client.runs(limit=limit, **wanted)
        return RunList(Run(each, self._source) for each in found)

    def run(self, id: int) -> Run:
        """One run by its number."""
        return Run(self._source.client.run(id), self._source)

    def steps(self, notebook: str) -> list[Step]:
        """The latest step of each name that a notebook has run."""
        return [Step(each, self._source) for each in self._source.client.notebook_steps(notebook)]

    def lineage(self, artifact: str, *, up: bool = True, down: bool = True) -> dict[str, Any]:
        """What led to an artifact, and what it led to: steps, artifacts, and the links between them. It is named by
        (the beginning of) its id, by RUN:NAME or RUN:STEP:NAME."""
        return self._source.client.lineage(artifact, up=up, down=down)

    def __getitem__(self, id: int) -> Run:
        return self.run(id)

    def __iter__(self) -> Iterator[Run]:
        return iter(self.runs())

    def __repr__(self) -> str:
        return repr(self.runs(limit=10))

    def _repr_html_(self) -> str:
        return self.runs(limit=10)._repr_html_()

    def close(self) -> None:
        """Close the connection to the engine; the history may be used again."""
        self._source.client.close()


class Run:
    """One run. Its attributes say what was known when it was read."""

    def __init__(self, facts: Json, source: _Source) -> None:
        self.id: int = facts["id"]
        self.kind: str = facts["kind"]
        self.notebook: str = facts["notebook"]
        self.state: str = facts["state"]
        self.created: float = facts["created"]
        self.seconds: float | None = facts["seconds"]
        self.error: Json | None = facts["error"]
        self.name: str | None = facts["name"]
        self.owner: str | None = facts["owner"]
        self.commit: str | None = facts["commit"]
        self.tags: list[str] = list(facts["tags"])
        self.parameters: Json = facts["parameters"]
        self.metrics: Mapping[str, float] = {key: float(value) for key, value in facts["metrics"].items()}
        self._source = source

    def label(self, *, add: Sequence[str] = (), remove: Sequence[str] = (), name: str | None = None) -> Run:
        """Add tags, remove tags, give a name; the run as it is then."""
        return Run(self._source.client.label_run(self.id, add=add, remove=remove, name=name), self._source)

    def curve(self, metric: str) -> list[tuple[float, float]]:
        """All values of a metric, each with its place on the curve: its number, where nobody said. Raises NotFound."""
        points = self._source.client.logged(self.id)["metrics"]
        if metric not in points:
            raise NotFound(what=f"metric {metric!r} in run {self.id}", hint=_near(metric, sorted(points)))
        return [
            (float(number if each["at"] is None else each["at"]), float(each["value"]))
            for number, each in enumerate(points[metric])
        ]

    def compare(self, other: int | Run) -> dict[str, Any]:
        """What differs between this run and another: parameters, metrics, packages, and step by step code, states,
        times and what came out."""
        return self._source.client.compare_runs(self.id, other.id if isinstance(other, Run) else other)

    def report(self, path: str | Path) -> Path:
        """Write the run as one page of HTML, which needs nothing else; returns where it is."""
        written = Path(path)
        written.write_text(self._source.client.report(self.id), encoding="utf-8")
        return written

    @property
    def steps(self) -> list[Step]:
        """The run's steps, in order."""
        return [Step(each, self._source) for each in self._source.client.steps(self.id)]

    def step(self, name: str) -> Step:
        """The run's step of this name; the last one, if it ran several times."""
        steps = self.steps
        for each in reversed(steps):
            if each.name == name:
                return each
        raise NotFound(what=f"step {name!r} in run {self.id}", hint=_near(name, [each.name for each in steps]))

    def __getitem__(self, name: str) -> Step:
        return self.step(name)

    def logs(self) -> str:
        """What all its steps printed, in the order in which it was printed."""
        return "".join(_texts(self._source.events(self.id)))

    def __repr__(self) -> str:
        head = f"run {self.id} ({self.kind} of {self.notebook}): {self.state}, {_ago(self.created)}"
        return "\n".join([head, *aligned(_step_rows(self.steps))])

    def _repr_html_(self) -> str:
        head = f"run {self.id} ({self.kind} of {self.notebook}): {self.state}, {_ago(self.created)}"
        return f"<p>{escape(head)}</p>{_html(_step_rows(self.steps))}"


class Step:
    """One step of a run. Sizes are bytes, times seconds."""

    def __init__(self, facts: Json, source: _Source) -> None:
        self.id: int = facts["id"]
        self.run: int = facts["run_id"]
        self.name: str = facts["name"]
        self.state: str = facts["state"]
        self.attempt: int = facts["attempt"]
        self.source: str = facts["source"]
        self.line: str = facts["line"]
        self.resources = Resources.from_dict(facts["resources"])
        self.seconds: float | None = facts["seconds"]
        self.peak_memory: int | None = facts["peak_memory"]
        self.pid: int | None = facts["pid"]
        self.worker: str | None = facts["worker"]
        self.error: Json | None = facts["error"]
        self.references: list[Json] = list(facts["outputs"])
        self._source = source
        self._names = _Names(source.store, [*facts["outputs"], *facts["inputs"]])

    @property
    def outputs(self) -> list[str]:
        """The names of the values that it made."""
        return [name for each in self.references for name in each["names"] if not is_held(name)]

    def values(self) -> dict[str, Any]:
        """All values that it made, by name. Each call loads them anew; changing them changes nothing stored."""
        values: dict[str, Any] = {}
        for each in self.references:
            values |= load(self._source.store, each, self._names)
        return {name: value for name, value in values.items() if not is_held(name)}

    def value(self, name: str) -> Any:
        """One value that it made. Raises NotFound, ArtifactMissing or ArtifactCorrupt."""
        for each in self.references:
            if name in each["names"]:
                return load(self._source.store, each, self._names)[name]
        what = f"value {name!r} of step {self.name!r} in run {self.run}"
        raise NotFound(what=what, hint=_near(name, self.outputs))

    def __getitem__(self, name: str) -> Any:
        return self.value(name)

    def logs(self) -> str:
        """What it printed: standard output and standard error as they came, and texts of what it displayed."""
        return "".join(_texts(each for each in self._source.events(self.run) if each["step_id"] == self.id))

    def __repr__(self) -> str:
        return "\n".join(aligned(_step_rows([self])))

    def _repr_html_(self) -> str:
        return _html(_step_rows([self]))


class RunList(list[Run]):
    """Runs, shown as a table."""

    def __repr__(self) -> str:
        return "\n".join(aligned(_run_rows(self)))

    def _repr_html_(self) -> str:
        return _html(_run_rows(self))


@dataclass(frozen=True, slots=True, weakref_slot=True)
class _Source:
    """Where runs and values come from."""

    client: EngineClient
    store: Store

    def events(self, run: int) -> Iterator[Json]:
        with self.client.events(run=run) as events:
            yield from events


class _Names(dict[str, Any]):
    """The globals of a step's functions: what it made and what it was given, each loaded when it is needed."""

    def __init__(self, store: Store, references: Sequence[Json]) -> None:
        super().__init__()
        self._store = store
        self._references = references

    def __missing__(self, name: str) -> Any:
        for each in self._references:
            if name in each["names"]:
                self.update(load(self._store, each, self))
                return self[name]
        raise KeyError(name)


def _texts(events: Iterator[Json]) -> Iterator[str]:
    for event in events:
        if event["kind"] == "output":
            yield _text_of(event["content"])


def _text_of(message: Json) -> str:
    if message["type"] == "stream":
        return str(message["text"])
    plain = message.get("data", {}).get("text/plain")
    return f"{plain}\n" if plain is not None else ""


def _run_rows(runs: list[Run]) -> list[list[str]]:
    head = ["run", "kind", "notebook", "state", "when", "seconds"]
    return [head, *([str(r.id), r.kind, r.notebook, r.state, _ago(r.created), _time(r.seconds)] for r in runs)]


def _step_rows(steps: list[Step]) -> list[list[str]]:
    head = ["step", "state", "size", "seconds", "peak memory", "outputs"]
    rows = [
        [s.name, s.state, str(s.resources), _time(s.seconds), _size(s.peak_memory), ", ".join(s.outputs)] for s in steps
    ]
    return [head, *rows]


def _html(rows: list[list[str]]) -> str:
    return as_html(rows[0], rows[1:])


def _time(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"


def _size(count: int | None) -> str:
    return format_memory(count) if count else ""


def _ago(when: float) -> str:
    return f"{format_duration(max(0.0, round(time.time() - when)))} ago"


def _near(name: str, known: list[str]) -> str:
    found = difflib.get_close_matches(name, known, n=1)
    if found:
        return f"Did you mean {found[0]!r}?"
    return f"There are: {', '.join(known)}." if known else "It has none."
