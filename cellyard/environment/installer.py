"""Installing packages with uv, for workers of this or another place. uv's configuration, registries and credentials are
those of the process that does it; no message made here holds an address."""

from __future__ import annotations

import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellyard.environment.inventory import normal
from cellyard.errors import PackagesUnavailable

__all__ = [
    "DEADLINE",
    "STOPPED",
    "Installer",
    "Progress",
    "Site",
    "find_uv",
    "name_of",
    "plain",
    "unavailable",
    "uv_environment",
]

DEADLINE = 1800.0
"""Seconds that an installation may take, or be waited for."""
STOPPED = "the worker is stopping."
_POLL = 0.1
_ADDRESS = re.compile(r"\b[a-z+]+://\S+")


@dataclass(frozen=True, slots=True)
class Progress:
    """``tell`` is given what happens, in sentences; once ``stop`` is set the work is given up; ``pids`` holds the
    processes that do it."""

    tell: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    pids: set[int] = field(default_factory=set)


@dataclass(frozen=True, slots=True)
class Site:
    """Where packages are to run. ``tag`` is what installed files depend on beside their requirements: Python's binary
    interface and the C library; ``platform`` is uv's name for it, empty where it has none."""

    tag: str
    platform: str

    @classmethod
    def here(cls) -> Site:
        """This process."""
        library, version = platform.libc_ver()
        found = f"{platform.machine()}-manylinux_{version.replace('.', '_')}" if library == "glibc" else ""
        return cls(f"{sysconfig.get_config_var('SOABI')}-{library}-{version}", found)

    def to_dict(self) -> dict[str, Any]:
        """The site as JSON."""
        return {"tag": self.tag, "platform": self.platform}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Site:
        """The site that :meth:`to_dict` wrote."""
        return cls(str(data["tag"]), str(data["platform"]))


class Installer:
    """Installs for one site."""

    def __init__(self, site: Site, progress: Progress) -> None:
        self._site = site
        self._progress = progress

    def install(self, requirements: Iterable[str], target: Path) -> None:
        """Have exactly these in the folder, without what they need. Raises PackagesUnavailable."""
        options = ["--target", str(target), "--no-deps", "--compile-bytecode", *self._elsewhere(), "--requirements"]
        self._uv(["install", *options], tuple(requirements))

    def resolve(self, requirements: Iterable[str]) -> tuple[str, ...]:
        """These and all that they need at the site, each of one version. Raises PackagesUnavailable."""
        options = ["--quiet", "--no-header", "--no-annotate", *self._elsewhere()]
        text = self._uv(["compile", *options], tuple(requirements))
        lines = [line.strip() for line in text.splitlines() if not line.startswith((" ", "#", "-"))]
        return tuple(line for line in lines if line)

    def lock(self, requirements: Iterable[str]) -> str:
        """These, all of one version, as a pylock.toml with hashes. Raises PackagesUnavailable."""
        options = [
            "--quiet",
            "--no-header",
            "--no-annotate",
            "--no-deps",
            "--generate-hashes",
            "--format",
            "pylock.toml",
        ]
        return self._uv(["compile", *options, *self._elsewhere()], tuple(requirements))

    def _elsewhere(self) -> list[str]:
        """For another site than this one only what is built already: nothing can be built for it here."""
        if self._site == Site.here():
            return []
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        return ["--python-platform", self._site.platform, "--python-version", version, "--only-binary", ":all:"]

    def _uv(self, arguments: list[str], wanted: tuple[str, ...]) -> str:
        """What ``uv pip`` prints with these arguments and a file of the requirements."""
        with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
            file.write("".join(f"{each}\n" for each in wanted))
            file.flush()
            command = [find_uv(wanted), "pip", arguments[0], "--python", sys.executable, *arguments[1:], file.name]
            code, said, wrong = _run(command, self._progress)
            if code == -signal.SIGKILL and not self._progress.stop.is_set():
                code, said, wrong = _run(command, self._progress)  # taken for something that a step has left behind
        if code is None:
            reason = STOPPED if self._progress.stop.is_set() else f"uv was still at it after {DEADLINE:g} s."
            raise unavailable(wanted, reason)
        if code:
            raise unavailable(wanted, _without_addresses(wrong))
        return said


def _run(command: list[str], progress: Progress) -> tuple[int | None, str, str]:
    """Exit code and what was written; no code for a process that was stopped."""
    deadline = time.monotonic() + DEADLINE
    with subprocess.Popen(
        command, env=uv_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        progress.pids.add(process.pid)
        try:
            while True:
                try:
                    said, wrong = process.communicate(timeout=_POLL)
                except subprocess.TimeoutExpired:
                    if progress.stop.is_set() or time.monotonic() > deadline:
                        process.kill()
                        return None, "", ""
                else:
                    return process.returncode, said, wrong
        finally:
            progress.pids.discard(process.pid)


def find_uv(requirements: tuple[str, ...]) -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise unavailable(requirements, "there is no uv on the image.")
    return found


#: Where only pip is configured, uv is told the same.
_AS_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}


def uv_environment() -> dict[str, str]:
    """The worker's own, with bytecode that stays valid when files are copied."""
    environment = dict(os.environ)
    for theirs, ours in _AS_PIP.items():
        if environment.get(theirs):
            environment.setdefault(ours, environment[theirs])
    environment.pop("PYTHONPATH", None)
    environment.setdefault("UV_NO_PROGRESS", "1")
    environment.setdefault("UV_HTTP_RETRIES", "2")  # a registry out of reach is told within seconds
    if "UV_CACHE_DIR" not in environment:
        environment["UV_NO_CACHE"] = "1"  # what is installed is kept in the store; wheels are not wanted again
    return environment | {"PYC_INVALIDATION_MODE": "UNCHECKED_HASH"}


def _without_addresses(text: str) -> str:
    """What uv says, in one line, without addresses: they may hold names and keys that are nobody's business."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Using ", "Resolved ", "Prepared ", "Downloading "))]
    return _ADDRESS.sub("<address>", " ".join(said)).removeprefix("error: ").strip() or "uv failed without a word."


def name_of(requirement: str) -> str:
    """The distribution that a requirement is about."""
    return normal(re.split(r"[\s=@\[;]", requirement, maxsplit=1)[0])


def plain(requirement: str) -> str:
    """A requirement for people, without the address it may come from."""
    return requirement.replace("==", " ") if "@" not in requirement else name_of(requirement)


def unavailable(requirements: Iterable[str], reason: str) -> PackagesUnavailable:
    return PackagesUnavailable(
        packages=", ".join(map(plain, requirements)),
        reason=reason,
        hint="Put them on the image (--build-arg PACKAGES=... of deploy/Dockerfile), or let the worker's uv reach a "
        "registry that has them (UV_DEFAULT_INDEX, UV_INDEX or UV_FIND_LINKS in the worker's environment).",
    )
