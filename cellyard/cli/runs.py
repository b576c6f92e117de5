"""``cellyard runs|show|logs|cancel``: looking back, and stopping."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Console

from cellyard.cli.tables import runs_table, state_text, steps_table
from cellyard.errors import NotFound
from cellyard.model import format_duration
from cellyard.model.prices import Prices
from cellyard.model.states import in_words
from cellyard.service.client import EngineClient

__all__ = ["cancel", "label", "logs", "runs", "show"]


def runs(arguments: argparse.Namespace) -> int:
    """List the latest runs."""
    wanted = {key: getattr(arguments, key) for key in ("notebook", "state", "tag", "where", "search", "before")}
    found = _client().runs(limit=arguments.limit, **wanted)
    if not found:
        print("nothing has run yet" if not any(wanted.values()) else "no run fits")
        return 0
    Console().print(runs_table(found))
    return 0


def label(arguments: argparse.Namespace) -> int:
    """Name a run; add tags to it, or remove them."""
    run = _client().label_run(arguments.run, add=arguments.tags, remove=arguments.remove, name=arguments.name)
    name = f" {run['name']!r}" if run["name"] else ""
    print(f"run {run['id']}{name}: {', '.join(run['tags']) or 'no tags'}")
    return 0


def show(arguments: argparse.Namespace) -> int:
    """Show one run, its steps, and what went wrong."""
    client = _client()
    run, steps = client.run(arguments.run), client.steps(arguments.run)
    console = Console()
    console.print(f"run {run['id']}  {run['kind']} of {run['notebook']}  ", end="", highlight=False, markup=False)
    console.print(state_text(run["state"]), _lasted(run))
    for line in _told(run):
        print(line)
    cost = client.cost(run["id"])
    prices = Prices.from_dict(cost["prices"])
    amounts = {each["step_id"]: prices.words(each["amount"]) for each in cost["steps"]} if prices else {}
    console.print(steps_table(steps, amounts))
    if amounts:
        print(f"\nthis run has cost {prices.words(cost['amount'])}, all attempts counted")
    for step in steps:
        if step["error"]:
            print(f"\n{step['name']}: {step['error'].get('type')}: {step['error'].get('message')}")
    print(f"\ncellyard logs {run['id']} [STEP] prints what they said")
    return 0


def logs(arguments: argparse.Namespace) -> int:
    """Print what was printed: standard output to standard output, the rest to standard error."""
    client = _client()
    _check_step(client, arguments.run, arguments.step)
    with client.events(run=arguments.run, follow=arguments.follow) as events:
        for event in events:
            if event["kind"] == "output" and arguments.step in (None, event["step"]):
                _print_output(event["content"])
    return 0


def cancel(arguments: argparse.Namespace) -> int:
    """Cancel a run and its live steps."""
    run = _client().cancel_run(arguments.run)
    print(f"run {run['id']} {in_words(run['state'])}")
    return 0


def _client() -> EngineClient:
    return EngineClient(notify=lambda text: print(text, file=sys.stderr))


def _check_step(client: EngineClient, run: int, step: str | None) -> None:
    names = [each["name"] for each in client.steps(run)]
    if step is not None and step not in names:
        raise NotFound(what=f"step {step!r} in run {run}", hint=f"There are: {', '.join(names)}." if names else "")


def _print_output(message: Mapping[str, Any]) -> None:
    if message["type"] == "stream":
        file = sys.stderr if message["name"] == "stderr" else sys.stdout
        print(message["text"], end="", file=file, flush=True)
    elif "text/plain" in message.get("data", {}):
        print(message["data"]["text/plain"], flush=True)


def _told(run: Mapping[str, Any]) -> Iterator[str]:
    """What is known of the run beside its steps."""
    changed = {True: " (changed since)", False: "", None: ""}[run["changed"]]
    facts = {
        "name": run["name"],
        "tags": ", ".join(run["tags"]),
        "owner": run["owner"],
        "commit": run["commit"] and run["commit"][:12] + changed,
        "parameters": ", ".join(f"{key}={value}" for key, value in run["parameters"].items()),
        "metrics": ", ".join(f"{key}={_short(value)}" for key, value in run["metrics"].items()),
    }
    yield from (f"{key}: {value}" for key, value in facts.items() if value)


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"


def _lasted(run: Mapping[str, Any]) -> str:
    return f"after {format_duration(run['seconds'])}" if run["seconds"] is not None else ""
