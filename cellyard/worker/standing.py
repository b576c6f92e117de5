"""Standing: where a step is in its code while it runs, for one that will be stopped without a word of its own.

The step's own thread tells it with variables, where the interpreter lets it. Where one call holds the interpreter, the
process still answers a signal, with files and lines alone: into a file in memory that only it has, and that is read
through /proc.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import linecache
import os
import re
import signal
import sys
import threading
import traceback
import types
from collections.abc import Iterator, Sequence
from typing import Any

__all__ = ["ask", "dumped", "lines_of", "running", "tell_when_asked"]

#: Nobody else's: user programs use SIGUSR1 and SIGUSR2, and glibc the first of these.
_SIGNAL = signal.SIGRTMAX - 3
_NAME = "cellyard-standing"
_PAUSE, _PATIENCE = 0.001, 10
"""Seconds between two looks whether a process has answered, and how many there are: meanwhile it may grow."""
_MOST = 60
_FRAME = re.compile(r'^  File "(?P<file>.*)", line (?P<line>\d+) in (?P<name>.*)$')
_ESCAPED = re.compile(r"\\x[0-9a-f]{2}|\\u[0-9a-f]{4}|\\U[0-9a-f]{8}")
_SHELL = ("run_code", "interactiveshell.py")

_kept: list[int] = []


def tell_when_asked() -> None:
    """From now on this process answers :func:`ask`."""
    with contextlib.suppress(OSError):  # it only tells less
        descriptor = os.memfd_create(_NAME, os.MFD_CLOEXEC)
        _kept.append(descriptor)
        faulthandler.register(_SIGNAL, file=descriptor, all_threads=False)


def ask(pid: int) -> None:
    """Have that process write down where it is."""
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, _SIGNAL)


async def dumped(pid: int, source: str) -> list[dict[str, Any]]:
    """Where a process is that was asked, from the cell on, or nothing where it has not said so in time. ``source``: the
    cell's."""
    for _ in range(_PATIENCE):
        if text := _dump_of(pid):
            return list(_from_cell(text, source.splitlines()))[-_MOST:]
        await asyncio.sleep(_PAUSE)
    return []


def _dump_of(pid: int) -> str:
    folder = f"/proc/{pid}/fd"
    try:
        for each in os.listdir(folder):  # noqa: PTH208
            if _NAME in os.readlink(f"{folder}/{each}"):  # noqa: PTH115
                with open(f"{folder}/{each}", "rb") as file:  # noqa: PTH123
                    return file.read().decode()
    except OSError:  # it has just ended, or nobody may look into it
        return ""
    return ""


def _from_cell(text: str, source: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The frames of a dump, outermost first: those that the shell has called."""
    found: list[dict[str, Any]] = []
    for match in filter(None, map(_FRAME.match, text.splitlines())):
        file, name = (_ESCAPED.sub(_unescaped, match[each]) for each in ("file", "name"))
        if name == _SHELL[0] and file.endswith(_SHELL[1]):
            break
        found.append({"file": file, "line": int(match["line"]), "name": name, "is_cell": False})
    else:
        return
    cell = found[-1]["file"] if found else ""
    for each in reversed(found):
        line = each["line"]
        is_here = each["file"] == cell
        text = source[line - 2] if is_here and 1 < line < len(source) + 2 else linecache.getline(each["file"], line)
        shown = {"shown": "Cell"} if is_here else {}
        yield {**each, "is_cell": is_here and each["name"] == "<module>", "text": text.strip(), **shown}


def _unescaped(match: re.Match[str]) -> str:
    return chr(int(match[0][2:], 16))


def running() -> Iterator[tuple[types.FrameType, int]]:
    """The frames of the main thread and their lines, outermost first."""
    frame = sys._current_frames().get(threading.main_thread().ident or 0)
    # Without a frame it would walk the caller's own.
    return reversed(list(traceback.walk_stack(frame)) if frame is not None else [])


def lines_of(places: Sequence[dict[str, Any]]) -> list[str]:
    """The places as lines of a traceback."""
    head = ["Traceback (most recent call last), when it was stopped:"] if places else []
    return [*head, *(line for place in places for line in _lines(place))]


def _lines(place: dict[str, Any]) -> Iterator[str]:
    name = "" if place["is_cell"] else f", in {place['name']}"
    yield f"  {place.get('shown') or 'File ' + repr(place['file'])}, line {place['line']}{name}"
    if place.get("text"):
        yield f"    {place['text']}"
