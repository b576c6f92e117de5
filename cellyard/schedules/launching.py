"""Launching: the processes of scheduled runs, and telling people of a failure.

A run is ``cellyard run BUNDLE`` in a session of its own: it is a client of the engine like any other, and goes on when
the engine is replaced.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import secrets
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellyard.settings import Settings

if TYPE_CHECKING:
    # SQLAlchemy comes with them, which the engine imports after its socket answers.
    from cellyard.records import FiringRecord, ScheduleRecord

__all__ = ["Launcher", "earlier_bundles", "firing_tag", "private_path", "run_command", "write_private"]

_NOT_INHERITED = ("CELLYARD_RUN", "CELLYARD_NOTEBOOK", "CELLYARD_ON", "MPLBACKEND")
_KEPT_LOGS = 50
_TRIES = 3
_PAUSE = 2.0
_HOOK_DEADLINE = 60.0
_log = logging.getLogger(__name__)


def firing_tag(firing_id: int) -> str:
    """The tag by which a run says which firing it is."""
    return f"firing:{firing_id}"


def run_command(schedule: ScheduleRecord, firing: FiringRecord) -> list[str]:
    """What runs the bundle once; the tags say for which schedule, and which time of it this is."""
    words = [sys.executable, "-P", "-m", "cellyard", "run", schedule.bundle, "--name", schedule.name]
    words += ["--tag", f"schedule:{schedule.name}", "--tag", firing_tag(firing.id)]
    for name, value in schedule.parameters.items():
        words += ["-p", f"{name}={value if isinstance(value, str) else repr(value)}"]
    return words


def private_path(schedule: ScheduleRecord) -> Path:
    """The file with what only this user may read: the webhook's whole address."""
    return Path(schedule.bundle).parent / "private.json"


def earlier_bundles(schedule: ScheduleRecord) -> set[Path]:
    """The folders beside the schedule's bundle that were replaced by it, or never finished."""
    bundle = Path(schedule.bundle)
    return {each for each in bundle.parent.glob("*bundle*") if each.name.strip(".").startswith("bundle")} - {bundle}


def write_private(schedule: ScheduleRecord, content: Mapping[str, Any]) -> None:
    """Keep what only this user may read beside the schedule's bundle. Whoever reads it meanwhile has it as it was."""
    path = private_path(schedule)
    unfinished = path.with_name(f".{path.name}-{secrets.token_hex(4)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        json.dump(dict(content), file)
    unfinished.replace(path)


class Launcher:
    """Starts runs, and tells of failures, for one engine."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings

    async def start(self, schedule: ScheduleRecord, firing: FiringRecord) -> asyncio.subprocess.Process:
        """The process of a run, started; what it prints goes to the schedule's logs. Raises OSError."""
        env = {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}
        with _log_path(schedule, firing).open("wb") as log:
            return await asyncio.create_subprocess_exec(
                *run_command(schedule, firing),
                env=env | self._settings.to_env(),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    async def tell(self, schedule: ScheduleRecord, firing: FiringRecord, error: str) -> str:
        """Tell whoever is to know that a run has not succeeded; returns what went wrong with that, if anything did."""
        facts = {
            "schedule": schedule.name,
            "notebook": schedule.notebook,
            "state": firing.state,
            "run": firing.run_id,
            "due": firing.due,
            "message": error,
        }
        problems = []
        if schedule.command:
            problems.append(await _call(shlex.split(schedule.command), facts))
        if schedule.webhook:
            problems.append(await _post(_address(schedule), facts))
        return "; ".join(each for each in problems if each)


async def _call(words: Sequence[str], facts: Mapping[str, Any]) -> str:
    """Run the command; it has the facts in its environment, and as JSON on its input."""
    # Not CELLYARD_RUN and its like: a command that is cellyard itself would take itself for part of that run.
    env = os.environ | {f"SCHEDULE_{key.upper()}": "" if value is None else str(value) for key, value in facts.items()}
    try:
        process = await asyncio.create_subprocess_exec(
            *words,
            env=env,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        return f"the command could not be started: {error.strerror or error}"
    try:
        async with asyncio.timeout(_HOOK_DEADLINE):
            await process.communicate(json.dumps(facts).encode())
    except TimeoutError:
        process.kill()
        await process.wait()
        return f"the command was still at it after {_HOOK_DEADLINE:g} s"
    return f"the command ended with {process.returncode}" if process.returncode else ""


async def _post(address: str | None, facts: Mapping[str, Any]) -> str:
    """Post the facts as JSON, three times if need be. No message has the address: it is a secret."""
    if address is None:
        return "the webhook's address is gone"
    import httpx

    problem = ""
    async with httpx.AsyncClient(timeout=10.0) as client:
        for number in range(_TRIES):
            if number:
                await asyncio.sleep(_PAUSE)
            try:
                answer = await client.post(address, json={"text": _sentence(facts), **facts})
            except (httpx.HTTPError, httpx.InvalidURL) as error:
                problem = f"the webhook could not be reached ({type(error).__name__})"
                continue
            if answer.status_code < 400:
                return ""
            problem = f"the webhook answered {answer.status_code}"
            if answer.status_code < 500:
                return problem
    return problem


def _sentence(facts: Mapping[str, Any]) -> str:
    run = f" (run {facts['run']})" if facts["run"] else ""
    return f"{facts['schedule']}{run} {facts['state']}: {facts['message']}".strip()


def _address(schedule: ScheduleRecord) -> str | None:
    try:
        found: str | None = json.loads(private_path(schedule).read_text(encoding="utf-8")).get("webhook")
    except (OSError, ValueError):
        return None
    return found


def _log_path(schedule: ScheduleRecord, firing: FiringRecord) -> Path:
    folder = Path(schedule.bundle).parent / "logs"
    folder.mkdir(mode=0o700, exist_ok=True)
    old = sorted(folder.glob("*.log"), key=lambda path: path.stat().st_mtime)
    for path in old[: max(0, len(old) - _KEPT_LOGS)]:
        path.unlink(missing_ok=True)
    return folder / f"{firing.id}.log"
