"""The machine: how much CPU, memory and GPU this process may use, as the operating system tells.

Reads /proc, /sys/fs/cgroup (versions 1 and 2) and /dev; contacts nothing.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from cellyard.model.resources import Resources
from cellyard.settings import Settings

__all__ = ["machine_capacity"]

# cgroup v1 writes "no limit" as the largest multiple of the page size.
_NO_LIMIT = 1 << 60


def machine_capacity(settings: Settings, *, root: Path = Path("/")) -> Resources:
    """What steps on this machine may use together: the settings' word where given, else the least of what
    the hardware has, what this process may run on, and what its cgroups allow. Memory is always a number."""
    return Resources(
        cpu=settings.cpu if settings.cpu is not None else _cpus(root),
        memory=settings.memory if settings.memory is not None else _memory(root),
        gpu=settings.gpu if settings.gpu is not None else _gpus(root),
    )


def _cpus(root: Path) -> float:
    if sys.platform == "linux":
        allowed = float(len(os.sched_getaffinity(0)))
    else:
        allowed = float(os.cpu_count() or 1)
    return min([allowed, *_cpu_quotas(root)])


def _memory(root: Path) -> int:
    return min([_installed_memory(root), *_memory_limits(root)])


def _gpus(root: Path) -> int:
    devices = root / "dev"
    return sum(bool(re.fullmatch(r"nvidia\d+", each.name)) for each in devices.glob("nvidia*"))


def _installed_memory(root: Path) -> int:
    text = _text(root / "proc" / "meminfo")
    match = re.search(r"^MemTotal:\s+(\d+) kB", text, re.MULTILINE)
    if match is not None:
        return int(match[1]) * 1024
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def _cpu_quotas(root: Path) -> Iterator[float]:
    for folder in _cgroup_folders(root, ""):
        quota, _, period = _text(folder / "cpu.max").strip().partition(" ")
        if quota.isdigit() and period.isdigit():
            yield int(quota) / int(period)
    for folder in _cgroup_folders(root, "cpu"):
        quota = _text(folder / "cpu.cfs_quota_us").strip()
        period = _text(folder / "cpu.cfs_period_us").strip()
        if quota.isdigit() and period.isdigit() and int(period):
            yield int(quota) / int(period)


def _memory_limits(root: Path) -> Iterator[int]:
    files = [(folder / "memory.max") for folder in _cgroup_folders(root, "")]
    files += [(folder / "memory.limit_in_bytes") for folder in _cgroup_folders(root, "memory")]
    for file in files:
        limit = _text(file).strip()
        if limit.isdigit() and 0 < int(limit) < _NO_LIMIT:
            yield int(limit)


def _cgroup_folders(root: Path, controller: str) -> Iterator[Path]:
    """The process's own cgroup and all above it; "" stands for version 2's single tree.

    Inside a container the path in /proc/self/cgroup may be the host's: folders that are not there are passed
    over, and the mount's own root, which is then the container's cgroup, is always tried.
    """
    for line in _text(root / "proc" / "self" / "cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller not in controllers.split(","):
            continue
        base = root / "sys" / "fs" / "cgroup"
        mount = base / controller if controller else base
        inner = mount / path.lstrip("/")
        yield from (each for each in (inner, *inner.parents) if each.is_relative_to(mount) and each.is_dir())


def _text(path: Path) -> str:
    """The file's text, or nothing where the kernel does not have it."""
    try:
        return path.read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
