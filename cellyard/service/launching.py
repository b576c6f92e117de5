"""Launching: starts the process that drives a notebook's run, for faces that do not want to be that process.

It is a ``cellyard run`` of its own session: it outlives the face that asked for it, and this engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
from collections.abc import Sequence

from cellyard.errors import CellyardError, EngineUnavailable, UsageError
from cellyard.settings import Settings

__all__ = ["launch"]

_DEADLINE = 60.0
_USAGE = 2


async def launch(settings: Settings, arguments: Sequence[str]) -> int:
    """Start ``cellyard`` with these arguments; the number of the run that it has opened. Raises UsageError with what
    it says when it opens none."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "cellyard",
        *arguments,
        "--announce",
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        start_new_session=True,
        env=os.environ | settings.to_env(),
    )
    assert process.stdout is not None
    said: list[str] = []
    try:
        async with asyncio.timeout(_DEADLINE):
            # Once it has announced its run it writes nothing more: what it would print is in the records.
            while line := (await process.stdout.readline()).decode("utf-8", "replace"):
                if (run := _announced(line)) is not None:
                    return run
                said.append(line)
            code = await process.wait()
    except TimeoutError as error:
        process.kill()
        raise EngineUnavailable(waited=f"{_DEADLINE:g} s", log="The run was not opened.") from error
    text = "".join(said).strip().removeprefix("cellyard: ") or f"the run ended with {code} before it began"
    raise (UsageError if code == _USAGE else CellyardError)(text)


def _announced(line: str) -> int | None:
    with contextlib.suppress(ValueError):
        found = json.loads(line)
        if isinstance(found, dict) and isinstance(found.get("run"), int):
            return int(found["run"])
    return None
