"""Tables of runs and steps for a terminal. Pure: dictionaries of the engine in, rich tables out."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any

from rich.table import Table
from rich.text import Text

from cellyard.artifacts.reference import is_held
from cellyard.model import Resources, format_duration, format_memory

__all__ = ["runs_table", "state_text", "steps_table"]

Json = Mapping[str, Any]
_COLOURS = {
    "queued": "dim",
    "running": "cyan",
    "succeeded": "green",
    "failed": "red",
    "cancelled": "yellow",
    "lost": "red",
}


def state_text(state: str) -> Text:
    """A state in its colour."""
    return Text(state, style=_COLOURS.get(state, ""))


def runs_table(runs: Iterable[Json]) -> Table:
    """One line per run."""
    table = _table("run", "kind", "state", "when", "seconds", "notebook", "tags")
    for run in runs:
        when = format_duration(max(0.0, round(time.time() - run["created"]))) + " ago"
        seconds = _seconds(run["seconds"])
        table.add_row(
            str(run["id"]),
            run["kind"],
            state_text(run["state"]),
            when,
            seconds,
            _called(run),
            ", ".join(run.get("tags", ())),
        )
    return table


def _called(run: Json) -> str:
    """The notebook, after the name that somebody gave the run."""
    return f"{run['name']} ({run['notebook']})" if run.get("name") else str(run["notebook"])


def steps_table(steps: Iterable[Json], costs: Mapping[int, str] | None = None) -> Table:
    """One line per step: state, worker size, seconds, peak memory, what it has cost where that is known, outputs."""
    table = _table("step", "state", "size", "seconds", "peak memory", *(["cost"] if costs else []), "outputs")
    for step in steps:
        table.add_row(
            step["name"],
            state_text(step["state"]),
            str(Resources.from_dict(step["resources"])),
            _seconds(step.get("seconds")),
            format_memory(step["peak_memory"]) if step.get("peak_memory") else "",
            *([costs[step["id"]]] if costs else []),
            ", ".join(name for each in step.get("outputs") or () for name in each["names"] if not is_held(name)),
        )
    return table


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in columns:
        right = name in {"run", "seconds", "peak memory", "cost"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    return table


def _seconds(seconds: float | None) -> str:
    return "" if seconds is None else f"{seconds:.2f}"
