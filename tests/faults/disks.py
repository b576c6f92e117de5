"""Disks that become full when a test says so: a small file system, or a limit on what processes may write."""

from __future__ import annotations

import contextlib
import os
import resource
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from tests.faults.processes import descendants_of

__all__ = ["DISKS", "Disk", "MountedDisk", "RefusingDisk"]

SIZE = 16 << 20
ROOM = 2 << 20


class Disk(Protocol):
    """``folder`` is on it. ``fill`` leaves less than 4 MiB, and asserts it; ``free`` gives the room back. Both are
    told the processes concerned, with all below them."""

    folder: Path

    def fill(self, *pids: int) -> None: ...

    def free(self) -> None: ...


class MountedDisk:
    """A file system of 16 MiB, really full. Only root may mount one."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    def fill(self, *pids: int) -> None:
        self._filler.write_bytes(b"x" * (self._left() - ROOM))
        assert self._left() < 2 * ROOM, "the disk is nearly full"

    def fill_up(self) -> None:
        """Nothing at all is left."""
        with self._filler.open("ab", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(b"x" * 4096)
        assert self._left() == 0

    def free(self) -> None:
        self._filler.unlink()

    def _left(self) -> int:
        found = os.statvfs(self.folder)
        return found.f_bavail * found.f_frsize


class RefusingDisk:
    """A folder like any other, in files of which the processes may write 2 MiB and no more."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._limited: set[int] = set()
        self._roots: tuple[int, ...] = ()

    def fill(self, *pids: int) -> None:
        self._roots = pids
        self._limited = set(pids).union(*map(descendants_of, pids))
        self._limit(ROOM)
        for pid in self._limited:
            assert resource.prlimit(pid, resource.RLIMIT_FSIZE)[0] == ROOM, "it may write little"

    def free(self) -> None:
        # Again from the top: children forked meanwhile have the limit of their parent.
        for _ in range(2):
            self._limited |= set(self._roots).union(*map(descendants_of, self._roots))
            self._limit(resource.RLIM_INFINITY)

    def _limit(self, size: int) -> None:
        for pid in self._limited:
            try:
                resource.prlimit(pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))
            except ProcessLookupError:  # a step's process that has ended meanwhile
                continue
        self._limited = {pid for pid in self._limited if Path(f"/proc/{pid}").exists()}


@contextmanager
def mounted(folder: Path) -> Iterator[MountedDisk]:
    """A small file system, for as long as the block runs."""
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "cellyard-test", str(folder)], check=True)
    try:
        yield MountedDisk(folder)
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


@contextmanager
def refusing(folder: Path) -> Iterator[Disk]:
    """A folder whose processes can be limited."""
    yield RefusingDisk(folder)


def _may_mount() -> bool:
    probe = ["unshare", "--mount", "mount", "-t", "tmpfs", "probe", "/mnt"]
    try:
        return subprocess.run(probe, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


#: What can be had here.
DISKS = {"refusing": refusing, **({"mounted": mounted} if _may_mount() else {})}
