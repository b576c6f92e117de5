"""The routes of exports: the targets there are, and an export with all that the command can do.

An export is ``cellyard export`` in a process of its own: it reads notebooks, imports packages and asks registries,
and none of that belongs into the engine.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, Field

from cellyard.errors import UsageError
from cellyard.service.asked import Json, JsonAnswer, Ready, Serving

__all__ = ["router"]

router = APIRouter()
_SIGN_OF_LIFE = 10.0
_ENDS_WITHIN = 90.0
_LONGEST_LINE = 1 << 24
_OPTION = re.compile(r"[a-z][a-z-]*")


class ExportRequest(BaseModel):
    """A notebook, by its whole path, what is to run it, and the folder for what is written. ``options`` are those of
    ``cellyard export`` without their dashes: true for one without a value, a list for one that is repeated."""

    path: str
    to: str
    output: str
    options: Json = Field(default_factory=dict)


@router.get("/v1/exporters")
async def exporters(engine: Serving) -> JsonAnswer:
    """The targets by name, each with what it says of itself (see ``ExporterFacts``), and the ``problem`` of one that
    cannot be used here."""
    from cellyard.exporters.registry import exporters_told

    return JsonAnswer({"exporters": await asyncio.to_thread(exporters_told)})


@router.post("/v1/export-jobs")
async def export(engine: Ready, wanted: ExportRequest) -> StreamingResponse:
    """Export a notebook. The answer is lines of JSON: ``said``, a line that the command has printed, as it comes; at
    last ``result``: ``code`` (as of the command), ``said`` and ``problem`` (all that it printed), ``files`` (those that
    were written, by their names in the folder), ``proof`` if it was proven. Empty lines are signs of life. Whoever
    leaves stops it."""
    command = [sys.executable, "-P", "-m", "cellyard", "export", *_words(wanted)]
    env = os.environ | engine.settings.to_env()
    return StreamingResponse(_carried_out(command, env, Path(wanted.output)), media_type="application/x-ndjson")


def _words(wanted: ExportRequest) -> Iterator[str]:
    for path in (wanted.path, wanted.output):
        if not Path(path).is_absolute():
            raise UsageError(f"the whole path is needed: {path}")
    yield from (wanted.path, f"--to={wanted.to}", f"--output={wanted.output}")
    for name, value in wanted.options.items():
        if not _OPTION.fullmatch(name):
            raise UsageError(f"{name!r} is no option of an export.")
        for each in value if isinstance(value, list) else [value]:
            if each is True:
                yield f"--{name}"
            elif each not in (False, None):
                yield f"--{name}={each}"


async def _carried_out(command: list[str], env: dict[str, str], output: Path) -> AsyncIterator[bytes]:
    before = await asyncio.to_thread(_files, output)
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=Path.home(),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
        limit=_LONGEST_LINE,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    said: list[bytes] = []
    problem = asyncio.ensure_future(process.stderr.read())
    try:
        async for line in _lines(process.stdout):
            said.append(line)
            yield (json.dumps({"said": line.decode(errors="replace").rstrip()}) if line else "").encode() + b"\n"
        code = await process.wait()
        after = {} if code else await asyncio.to_thread(_files, output)
        written = sorted(name for name, state in after.items() if before.get(name) != state)
        answer = _answer(code, b"".join(said), await problem, output, written)
    finally:
        problem.cancel()
        if process.returncode is None:
            _interrupt(process.pid)
            # What it has begun itself is given the time to end.
            asyncio.get_running_loop().call_later(_ENDS_WITHIN, _kill, process)
    yield json.dumps({"result": answer}).encode() + b"\n"


async def _lines(stream: asyncio.StreamReader) -> AsyncIterator[bytes]:
    """Its lines as they come; an empty one where none has come for a while."""
    coming = asyncio.ensure_future(stream.readline())
    try:
        while True:
            if not (await asyncio.wait([coming], timeout=_SIGN_OF_LIFE))[0]:
                yield b""
            elif line := coming.result():
                yield line
                coming = asyncio.ensure_future(stream.readline())
            else:
                return
    finally:
        coming.cancel()


def _interrupt(group: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(group, signal.SIGINT)


def _kill(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def _files(folder: Path) -> dict[str, tuple[int, int]]:
    """The files in it, each with what is another once it has been written."""
    found = {}
    for each in folder.rglob("*"):
        with contextlib.suppress(OSError):
            if each.is_file():
                state = each.stat()
                found[each.relative_to(folder).as_posix()] = (state.st_ino, state.st_ctime_ns)
    return found


def _answer(code: int, said: bytes, problem: bytes, output: Path, files: list[str]) -> dict[str, Any]:
    proof = output / "proof.json"
    return {
        "code": code,
        "said": said.decode(errors="replace"),
        "problem": problem.decode(errors="replace"),
        "files": files,
        "proof": json.loads(proof.read_text(encoding="utf-8")) if "proof.json" in files else None,
    }
