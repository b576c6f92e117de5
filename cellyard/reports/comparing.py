"""Comparing: what differs between two runs, from what is recorded of them. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["compare_runs"]

Json = Mapping[str, Any]
_FACTS = ("id", "name", "notebook", "state", "created", "seconds", "owner", "commit")


def compare_runs(one: tuple[Json, Sequence[Json]], other: tuple[Json, Sequence[Json]]) -> dict[str, Any]:
    """Two runs, each with its steps, as the engine tells them. Of parameters, metrics and packages come those that
    differ, as pairs (None: not there); of steps all, by name, in the second run's order, then those only the first
    has."""
    (first, first_steps), (second, second_steps) = one, other
    ours, theirs = _latest(first_steps), _latest(second_steps)
    names = [*theirs, *(name for name in ours if name not in theirs)]
    return {
        "runs": [{key: run.get(key) for key in _FACTS} for run in (first, second)],
        "parameters": _differing(first["parameters"], second["parameters"]),
        "metrics": _differing(first["metrics"], second["metrics"]),
        "packages": _differing(_packages(first_steps), _packages(second_steps)),
        "steps": [_step(name, ours.get(name), theirs.get(name)) for name in names],
    }


def _latest(steps: Sequence[Json]) -> dict[str, Json]:
    """By name; of several with one name the last."""
    return {step["name"]: step for step in steps}


def _packages(steps: Sequence[Json]) -> dict[str, str]:
    return {name: version for step in steps for name, version in (step.get("packages") or {}).items()}


def _differing(first: Json, second: Json) -> dict[str, list[Any]]:
    names = sorted({*first, *second})
    pairs = {name: [first.get(name), second.get(name)] for name in names}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1] or (name in first) != (name in second)}


def _step(name: str, first: Json | None, second: Json | None) -> dict[str, Any]:
    both = (first or {}, second or {})
    return {
        "name": name,
        "in": [each is not None for each in (first, second)],
        "code": _diff(*(str(each.get("source") or "") for each in both)) if first and second else [],
        "line": _pair(both, "line"),
        "state": [each.get("state") for each in both],
        "seconds": [each.get("seconds") for each in both],
        "peak_memory": [each.get("peak_memory") for each in both],
        "outputs": _outputs(*both),
    }


def _pair(both: tuple[Json, Json], key: str) -> list[Any] | None:
    """The two, where they differ."""
    pair = [each.get(key) for each in both]
    return pair if pair[0] != pair[1] else None


def _diff(first: str, second: str) -> list[str]:
    """The lines of a unified diff, without its head; none where the texts are the same."""
    return [line.rstrip("\n") for line in difflib.unified_diff(first.splitlines(), second.splitlines(), lineterm="")][
        2:
    ]


def _outputs(first: Json, second: Json) -> list[dict[str, Any]]:
    ours, theirs = _values(first), _values(second)
    found = []
    for name in sorted({*ours, *theirs}):
        pair = [each.get(name) for each in (ours, theirs)]
        same = pair[0] is not None and pair[1] is not None and pair[0]["id"] == pair[1]["id"]
        schemas = [each and {key: each[key] for key in ("type", "shape", "schema")} for each in pair]
        ids = [each and each["id"] for each in pair]
        found.append({"name": name, "same": same, "ids": ids, "schemas": schemas})
    return found


def _values(step: Json) -> dict[str, dict[str, Any]]:
    found = {}
    for reference in step.get("outputs") or ():
        for name in reference["names"]:
            preview = (reference.get("previews") or {}).get(name) or {}
            # A name that begins so is no name of the notebook's: it holds what a cell has changed in a class.
            if name.isidentifier():
                schema = list(preview.get("schema") or ())
                facts = {"type": preview.get("type"), "shape": preview.get("shape"), "schema": schema}
                found[name] = {"id": reference["id"], **facts}
    return found
