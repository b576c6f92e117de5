"""What Linux offers so that no process outlives its parent. Elsewhere these do nothing, or less."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Collection
from pathlib import Path

__all__ = [
    "adopt_orphans",
    "children_of",
    "die_with_parent",
    "end_adopted",
    "end_children",
    "ending",
    "listed_children",
]

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def die_with_parent(parent: int, number: int = signal.SIGTERM) -> None:
    """Have a signal sent to this process when its parent dies; ends it at once if that has happened already.

    ``parent`` is the pid of the process that started this one. By default SIGTERM, because a process with
    children of its own has to end those too.
    """
    _prctl(_PR_SET_PDEATHSIG, number)
    if os.getppid() != parent:
        raise SystemExit("the process that started this one is gone")


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies, so that none can get away."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def _prctl(option: int, value: int) -> None:
    if sys.platform != "linux":
        return
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"prctl({option}): {os.strerror(number)}")


def children_of(pid: int) -> set[int]:
    """The live and the dead-but-unreaped children of a process; nothing where there is no /proc."""
    return {int(each.name) for each in Path("/proc").glob("[0-9]*") if _parent(each) == pid}


def listed_children(pid: int) -> set[int]:
    """As :func:`children_of`, at a small part of its cost; may miss one while another ends."""
    tasks = Path(f"/proc/{pid}/task")
    if not (tasks / str(pid) / "children").exists():  # a Linux that is built without these lists
        return children_of(pid)
    return {int(child) for task in tasks.glob("*/children") for child in _words(task)}


def _words(file: Path) -> list[str]:
    try:
        return file.read_text().split()
    except OSError:
        return []  # the thread ended while we looked


def _parent(process: Path) -> int | None:
    try:
        status = (process / "stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None  # it ended while we looked
    # The name, in brackets, may hold spaces and brackets itself.
    return int(status.rpartition(")")[2].split()[1])


def end_adopted(own: Collection[int]) -> int:
    """Kill and reap every child that is not one of ``own``; says how many were there.

    Those are orphans that came to us as subreaper: the step that started them is gone. One that is missed is met the
    next time.
    """
    return _end(listed_children(os.getpid()).difference(own))


def end_children() -> int:
    """Kill and reap every child, missing none; says how many were there."""
    return _end(children_of(os.getpid()))


def _end(processes: Collection[int]) -> int:
    for pid in processes:
        try:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, os.WNOHANG)
        except (ProcessLookupError, ChildProcessError):
            continue  # reaped by someone else meanwhile
    return len(processes)


def ending(returncode: int) -> str:
    """How a process ended, in words, from subprocess's return code: "was killed by SIGKILL", "exited with 1"."""
    if returncode >= 0:
        return f"exited with {returncode}"
    try:
        return f"was killed by {signal.Signals(-returncode).name}"
    except ValueError:
        return f"was killed by signal {-returncode}"
