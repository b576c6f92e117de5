"""``cellyard compare|lineage|report``: runs beside each other, values along their way, a run as a page."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.model import format_duration, format_memory
from cellyard.service.client import EngineClient

__all__ = ["compare", "lineage", "report"]

Json = Mapping[str, Any]


def compare(arguments: argparse.Namespace) -> int:
    """Print what differs between two runs."""
    found = _client().compare_runs(arguments.first, arguments.second)
    _print(found, _compared(found), as_json=arguments.json)
    return 0


def lineage(arguments: argparse.Namespace) -> int:
    """Print where an artifact comes from and what became of it."""
    both = arguments.up == arguments.down
    found = _client().lineage(arguments.artifact, up=both or arguments.up, down=both or arguments.down)
    _print(found, _drawn(found), as_json=arguments.json)
    return 0


def report(arguments: argparse.Namespace) -> int:
    """Write a run as a page of HTML."""
    path: Path = arguments.output or Path(f"run-{arguments.run}.html")
    page = _client().report(arguments.run)
    unfinished = path.with_name(f".{path.name}.unfinished")
    try:
        unfinished.write_text(page, encoding="utf-8")
        unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
    print(f"wrote {path}")
    return 0


def _client() -> EngineClient:
    return EngineClient(notify=lambda text: print(text, file=sys.stderr))


def _print(found: Json, lines: Iterator[str], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(found, indent=2))
        return
    for line in lines:
        print(line)


def _compared(found: Json) -> Iterator[str]:
    first, second = found["runs"]
    yield f"run {first['id']} ({first['state']}) and run {second['id']} ({second['state']})"
    for title in ("parameters", "metrics", "packages"):
        if found[title]:
            yield f"\n{title}"
            yield from (f"  {name}: {_shown(pair[0])} -> {_shown(pair[1])}" for name, pair in found[title].items())
    for step in found["steps"]:
        lines = [*_step_lines(step)]
        if lines:
            yield f"\nstep {step['name']}"
            yield from (f"  {line}" for line in lines)


def _step_lines(step: Json) -> Iterator[str]:
    if not all(step["in"]):
        yield f"only in the {'first' if step['in'][0] else 'second'} run"
        return
    if step["state"][0] != step["state"][1]:
        yield f"state: {step['state'][0]} -> {step['state'][1]}"
    if step["line"]:
        yield f"line: {step['line'][0]} -> {step['line'][1]}"
    if None not in step["seconds"]:
        yield f"time: {' -> '.join(format_duration(round(each, 2)) for each in step['seconds'])}"
    if None not in step["peak_memory"]:
        yield f"peak memory: {' -> '.join(map(format_memory, step['peak_memory']))}"
    yield from (f"code: {line}" for line in step["code"])
    for each in step["outputs"]:
        if not each["same"]:
            yield f"{each['name']}: {' -> '.join(_schema(schema) for schema in each['schemas'])}"
            yield from (f"  {line}" for line in _columns(each["schemas"]))


def _schema(schema: Json | None) -> str:
    return "not there" if schema is None else f"{schema['type']} {schema['shape'] or ''}".strip()


def _columns(schemas: Sequence[Json | None]) -> Iterator[str]:
    """Columns that only one of the two has, or has with another type."""
    before, after = (list(schema["schema"]) if schema else [] for schema in schemas)
    if before and after:
        yield from (f"- {each}" for each in before if each not in after)
        yield from (f"+ {each}" for each in after if each not in before)


def _shown(value: Any) -> str:
    return "not there" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _drawn(found: Json) -> Iterator[str]:
    steps = {step["id"]: step for step in found["steps"]}
    by_role: dict[str, dict[int, list[Json]]] = {"in": {}, "out": {}}
    for link in found["links"]:
        by_role[link["role"]].setdefault(link["step"], []).append(link)
    made = {artifact["id"]: artifact["made_by"] for artifact in found["artifacts"]}
    names = ", ".join(name for name in found["names"] if name)
    yield f"{found['artifact'][:16]}  {names}"
    if not steps:
        yield "  no step on record made it or read it"
    for number in sorted(steps):
        step = steps[number]
        yield f"run {step['run_id']}  {step['name']}  ({step['state']}, {step['notebook']})"
        for role, word in (("in", "reads"), ("out", "makes")):
            for link in by_role[role].get(number, []):
                maker = made.get(link["artifact"])
                origin = f" from {steps[maker]['name']}" if role == "in" and maker in steps else ""
                mark = "  <- this" if link["artifact"] == found["artifact"] else ""
                yield f"  {word} {link['name']} {link['artifact'][:12]}{origin}{mark}"
    if found["truncated"]:
        yield "  ... and more steps, which are left out"
