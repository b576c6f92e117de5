"""Schedule options: what is typed to make a schedule, for the command line and the kernel alike. Light."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError

__all__ = ["add_schedule_options", "schedule_request"]


def add_schedule_options(parser: argparse.ArgumentParser) -> None:
    """The options beside path and cron expression."""
    parser.add_argument("--timezone", metavar="TZ", help="the expression's, such as Europe/Berlin (default: Etc/UTC)")
    parser.add_argument("--name", help="what the schedule is called (default: the notebook's name)")
    parser.add_argument(
        "--on-change",
        action="append",
        metavar="WHAT",
        help="run when this changes: a file, a folder, a pattern, or artifact:NOTEBOOK:NAME; may be repeated",
    )
    parser.add_argument("-p", dest="parameters", action="append", metavar="NAME=VALUE", help="a parameter")
    parser.add_argument(
        "--missed",
        choices=("once", "skip", "all"),
        help="times that came while no engine was there: make up for them with one run (the default), none, or all",
    )
    parser.add_argument(
        "--overlap",
        choices=("skip", "queue", "replace", "allow"),
        help="the one before still runs: leave this one out (the default), let it wait, stop that one, run both",
    )
    parser.add_argument("--notify-command", metavar="COMMAND", help="run this after a failure; it is told what failed")
    parser.add_argument("--notify-webhook", metavar="URL", help="post to this address after a failure")
    parser.add_argument(
        "--include", type=Path, action="append", default=[], metavar="FILE", help="a file that goes with the notebook"
    )
    parser.add_argument(
        "--replace",
        action="store_true",
        help="where there is a schedule of that name, have it run this from now on: it keeps its history and all that "
        "is not given anew",
    )


def schedule_request(
    path: Path, expression: str | None, given: argparse.Namespace, owner: str | None
) -> dict[str, Any]:
    """The body of ``POST /v1/schedules``; None is not given. Raises UsageError for a parameter that is none."""
    return {
        "path": str(path.absolute()),
        "expression": expression,
        "timezone": given.timezone,
        "name": given.name,
        "on_change": None if given.on_change is None else [_whole(each) for each in given.on_change],
        "parameters": None if given.parameters is None else dict(_parameters(given.parameters)),
        "missed": given.missed,
        "overlap": given.overlap,
        "command": given.notify_command,
        "webhook": given.notify_webhook,
        "include": [str(each.absolute()) for each in given.include],
        "owner": owner,
        "replace": given.replace,
    }


def _whole(text: str) -> str:
    """A path from here: the engine is somewhere else."""
    return (
        text if text.startswith("artifact:") or "://" in text or not text else str(Path(text).expanduser().absolute())
    )


def _parameters(given: Iterable[str]) -> Iterable[tuple[str, str]]:
    for each in given:
        name, equals, value = each.partition("=")
        if not equals:
            raise UsageError(f"-p {each}: write -p NAME=VALUE.")
        yield name, value
