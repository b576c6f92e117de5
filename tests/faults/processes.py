"""Which processes live, and what they descend from."""

from __future__ import annotations

from pathlib import Path

from cellyard.worker.processes import children_of

__all__ = ["command_of", "dask_process_below", "descendants_of", "is_alive"]


def is_alive(pid: int) -> bool:
    """Whether the process runs; one that is dead and not yet reaped does not."""
    try:
        status = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def descendants_of(pid: int) -> set[int]:
    """All processes below one."""
    found = children_of(pid)
    return found.union(*(descendants_of(child) for child in found)) if found else found


def command_of(pid: int) -> str:
    """A process's command line; nothing where it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    except OSError:
        return ""


def dask_process_below(engine: int) -> int:
    """The engine's process that holds scheduler and worker."""
    [found] = [pid for pid in descendants_of(engine) if "dask_local.host" in command_of(pid)]
    return found
