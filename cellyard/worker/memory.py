"""Memory of a process tree: what its processes have allocated, not what they have mapped from files."""

from __future__ import annotations

import os
import time

__all__ = [
    "TreeMemory",
    "anonymous_memory",
    "memory_kills",
    "process_tree",
    "tree_cpu",
    "tree_memory",
    "unshared_memory",
]

_TICKS = os.sysconf("SC_CLK_TCK")
_SELDOM = 20
"""What processes share is looked for at most every so many times as long as that takes: the system walks pages."""
_SOON = 3
"""The same, where there are other processes than the last time."""


def process_tree(pid: int) -> list[int]:
    """The process and all its descendants that are alive now."""
    found = [pid]
    for each in found:
        found.extend(_children(each))
    return found


def _children(pid: int) -> list[int]:
    found: list[int] = []
    try:
        for task in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208
            with open(f"/proc/{pid}/task/{task}/children", "rb", buffering=0) as file:  # noqa: PTH123
                found.extend(map(int, file.read().split()))
    except OSError:  # it has just ended
        return found
    return found


def anonymous_memory(pid: int) -> int:
    """Anonymous and shared memory of one process in bytes; 0 when it is gone.

    RssAnon and RssShmem, because mapped files of the store are the page cache's, not the step's.
    """
    try:
        with open(f"/proc/{pid}/status", "rb", buffering=0) as status:  # noqa: PTH123
            text = status.read()
    except OSError:
        return 0
    return _field(text, b"RssAnon:") + _field(text, b"RssShmem:")


def _field(text: bytes, name: bytes) -> int:
    at = text.find(name)
    return int(text[at + len(name) : text.index(b"kB", at)]) * 1024 if at >= 0 else 0


def tree_memory(pid: int) -> int:
    """Anonymous memory of a process and all its descendants, in bytes."""
    return sum(anonymous_memory(each) for each in process_tree(pid))


class TreeMemory:
    """Anonymous memory of a process and its descendants, with what forked ones share counted once. ``base`` is what
    the first had at its fork, which does not count."""

    def __init__(self, pid: int, base: int) -> None:
        self._pid = pid
        self._base = base
        self._twice = 0
        self._known: list[int] = []
        self._looked, self._took = 0.0, 0.0

    def used(self) -> int:
        """Bytes now."""
        tree = process_tree(self._pid)
        if len(tree) == 1:
            return max(0, anonymous_memory(self._pid) - self._base)
        began = time.monotonic()
        if began >= self._looked + self._took * (_SELDOM if tree == self._known else _SOON):
            each = [anonymous_memory(pid) for pid in tree]
            counted = max(0, sum(each) - self._base)
            self._twice = max(0, counted - self._unshared(tree, each))
            self._known, self._looked = tree, time.monotonic()
            self._took = self._looked - began
        else:  # a process that has just been forked shares all that it has
            counted = max(0, sum(anonymous_memory(pid) for pid in tree if pid in self._known) - self._base)
        return max(0, counted - self._twice)

    def _unshared(self, tree: list[int], each: list[int]) -> int:
        """The larger of two amounts that the tree has at least: what its first process has, with what the others have
        for themselves alone; and its part of all pages. Only pages that the first has not, and that came with the
        fork, may be missing from both."""
        parts = [_shares(pid, most) for pid, most in zip(tree, each, strict=True)]
        alone = each[0] + sum(private for private, _ in parts[1:])
        return max(0, max(alone, sum(share for _, share in parts)) - self._base)


def _shares(pid: int, most: int) -> tuple[int, int]:
    """How much of its anonymous memory a process has for itself alone, and its part of what it shares with that;
    all of it, where the system does not tell, and nothing of one that has ended since."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb", buffering=0) as rollup:  # noqa: PTH123
            text = rollup.read()
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0
    except OSError:
        return most, most
    if b"Pss_Anon:" not in text:
        return most, most
    # What is private and dirty may also be a file that it has mapped.
    return min(most, _field(text, b"Private_Dirty:")), _field(text, b"Pss_Anon:") + _field(text, b"Pss_Shmem:")


def unshared_memory(pid: int) -> int:
    """Anonymous memory that a process shares with no other, in bytes; 0 where nobody knows."""
    private, _ = _shares(pid, anonymous_memory(pid))
    return private


def tree_cpu(pids: list[int]) -> float:
    """CPU seconds of these processes, and of those of their children that have ended."""
    return sum(_cpu_of(pid) for pid in pids)


def _cpu_of(pid: int) -> float:
    try:
        with open(f"/proc/{pid}/stat", "rb", buffering=0) as file:  # noqa: PTH123
            text = file.read()
    except OSError:
        return 0.0
    # The name, in brackets, may hold spaces and brackets itself; user and system time are 12 fields behind it.
    fields = text[text.rindex(b")") + 2 :].split()
    return sum(map(int, fields[11:15])) / _TICKS


_KILL_COUNTS = ("/sys/fs/cgroup/memory.events", "/sys/fs/cgroup/memory/memory.oom_control")


def memory_kills() -> int:
    """How many processes the system has killed in this container because its memory was used up; 0 where there is no
    container, or it does not tell."""
    for path in _KILL_COUNTS:
        try:
            with open(path, "rb", buffering=0) as file:  # noqa: PTH123
                text = file.read()
        except OSError:
            continue
        for line in text.splitlines():
            if line.startswith(b"oom_kill "):
                return int(line.split()[1])
    return 0
