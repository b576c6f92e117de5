"""``cellyard plan NOTEBOOK``: what a run of it would do, and why."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from cellyard.service.client import EngineClient

__all__ = ["plan", "plan_lines"]


def plan(arguments: argparse.Namespace) -> int:
    """Say for each step whether it would run, and why; 1 when the notebook has errors. Runs nothing."""
    from cellyard.notebook.parameters import parse_assignments

    client = EngineClient(notify=lambda text: print(text, file=sys.stderr))
    try:
        found = client.plan(
            path=str(arguments.notebook.absolute()),
            parameters=dict(parse_assignments(arguments.parameters)),
            only=arguments.only,
            start=arguments.start,
            force=arguments.force,
        )
    finally:
        client.close()
    print("\n".join(plan_lines(found["steps"])))
    for each in found["problems"]:
        print(
            f"{each['level']}: cell {each['cell'] + 1}, line {each['line']}: {each['message']} {each['hint']}".rstrip()
        )
    return 1 if any(each["level"] == "error" for each in found["problems"]) else 0


def plan_lines(steps: Sequence[Mapping[str, Any]]) -> list[str]:
    """The plan as lines of text: each step's decision and its reason, below it what else has changed."""
    width = max((len(each["name"]) for each in steps), default=0)
    lines: list[str] = []
    for each in steps:
        lines.append(f"{each['action']:<5}  {each['name']:<{width}}  {each['because']}")
        lines += [f"       {'':<{width}}  {change}" for change in each["changes"] if change != each["because"]]
        lines += [f"       {'':<{width}}  | {line}" for line in each["diff"].splitlines()]
    count = sum(each["action"] == "run" for each in steps)
    return [*lines, f"{count} of {len(steps)} steps would run"]
