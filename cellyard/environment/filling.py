"""Filling a folder with packages that an image lacks: from the store where some worker has installed them before, else
by uv, once, for all workers to come.

Each installed distribution is a bundle of its own, so environments that differ in one package share all others. An
entry per environment names its bundles. Registry addresses and credentials are the worker's own (uv's configuration
and variables); no message made here holds an address.
"""

from __future__ import annotations

import hashlib
import json
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

from cellyard.artifacts.encoding import decode, encode
from cellyard.artifacts.entries import Entries, entries_of
from cellyard.artifacts.store import Store
from cellyard.environment.bundles import Bundled, appear, put_bundle, unpack_all
from cellyard.environment.claims import Claim
from cellyard.environment.inventory import Distribution, distributions_in, normal
from cellyard.errors import PackagesUnavailable

__all__ = ["Progress", "fill", "folder_name", "resolve_for_here"]

DEADLINE = 1800.0
"""Seconds that an installation may take, or be waited for."""
_POLL = 0.1
_STOPPED = "the worker is stopping."
_ADDRESS = re.compile(r"\b[a-z+]+://\S+")


@dataclass(frozen=True, slots=True)
class Progress:
    """``tell`` is given what happens, in sentences; once ``stop`` is set the work is given up; ``pids`` holds the
    processes that do it."""

    tell: Callable[[str], None]
    stop: threading.Event = field(default_factory=threading.Event)
    pids: set[int] = field(default_factory=set)


def tag() -> str:
    """What installed files depend on beside their requirements: Python's binary interface and the C library."""
    return f"{sysconfig.get_config_var('SOABI')}-{'-'.join(platform.libc_ver())}"


def folder_name(requirements: Iterable[str]) -> str:
    """The name under which these requirements are filled on workers like this one."""
    return _digest(*sorted(requirements), tag())


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fill(requirements: tuple[str, ...], store: Store, folder: Path, progress: Progress) -> Path:
    """A folder for ``sys.path`` with these requirements and nothing else, below ``folder``.

    Where several workers want the same at once, one installs and the others wait for what it stores. Raises
    PackagesUnavailable.
    """
    name = folder_name(requirements)

    def content(target: Path) -> None:
        bundles = _Filling(requirements, name, store, progress).bundles()
        began = time.monotonic()
        unpack_all(store, bundles, target)
        progress.tell(f"{_count(bundles)} put in place in {time.monotonic() - began:.1f} s")

    return appear(folder / name, content)


def _count(many: Iterable[object]) -> str:
    number = len(list(many))
    return f"{number} package{'s' if number != 1 else ''}"


class _Filling:
    """One environment on its way into the store."""

    def __init__(self, requirements: tuple[str, ...], name: str, store: Store, progress: Progress) -> None:
        self._requirements = requirements
        self._name = name
        self._store = store
        self._entries: Entries = entries_of(store)
        self._progress = progress
        self._tell = progress.tell

    def bundles(self) -> list[Bundled]:
        """The bundles of all requirements: as some worker left them, or after installing what none has."""
        claim = Claim(self._entries, f"claims/{self._name}")
        deadline = time.monotonic() + DEADLINE
        told = False
        while (found := self._stored()) is None:
            if claim.take():
                with claim.held():
                    return self._install_missing()
            if not told:
                self._tell("another worker installs the packages that the image lacks: waiting for it")
                told = True
            if time.monotonic() > deadline:
                raise _unavailable(self._requirements, f"another worker has been at it for {DEADLINE:g} s.")
            if self._progress.stop.wait(_POLL):
                raise _unavailable(self._requirements, _STOPPED)
        return found

    def _stored(self) -> list[Bundled] | None:
        found = self._entries.read(f"environments/{self._name}")
        return None if found is None else [Bundled(*each) for each in decode(found)]

    def _install_missing(self) -> list[Bundled]:
        found = {each: bundled for each in self._requirements if (bundled := self._part(each)) is not None}
        missing = [each for each in self._requirements if each not in found]
        if missing:
            found |= self._install(missing)
        bundles = [found[each] for each in self._requirements]
        self._entries.write_once(f"environments/{self._name}", encode([list(each) for each in bundles]))
        return bundles

    def _part(self, requirement: str) -> Bundled | None:
        found = self._entries.read(_part_name(requirement))
        return None if found is None else Bundled(*decode(found))

    def _install(self, missing: list[str]) -> dict[str, Bundled]:
        listed = ", ".join(map(_plain, missing))
        self._tell(f"installing {_count(missing)} that the image lacks: {listed}")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cy-packages-") as folder:
            _install_into(Path(folder), missing, self._progress)
            installed = distributions_in(folder)
            found = {}
            for requirement in missing:
                found[requirement] = put_bundle(self._store, _files_of(installed[_name_of(requirement)]))
                self._entries.write_once(_part_name(requirement), encode(list(found[requirement])))
        self._tell(f"installed, and kept in the store for other workers, in {time.monotonic() - began:.1f} s")
        return found


def _part_name(requirement: str) -> str:
    return f"packages/{_digest(requirement, tag())}"


def _name_of(requirement: str) -> str:
    return normal(re.split(r"[\s=@\[;]", requirement, maxsplit=1)[0])


def _plain(requirement: str) -> str:
    """A requirement for people, without the address it may come from."""
    return requirement.replace("==", " ") if "@" not in requirement else _name_of(requirement)


def _files_of(distribution: Distribution) -> Mapping[str, Path]:
    """The files of an installed distribution, and what they were compiled to."""
    root = distribution.folder.parent
    files = {name: root / name for name in distribution.files}
    for name in [name for name in files if name.endswith(".py")]:
        folder, _, file = name.rpartition("/")
        compiled = f"{folder}/__pycache__/" if folder else "__pycache__/"
        compiled += f"{file.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"
        files[compiled] = root / compiled
    return {name: path for name, path in files.items() if path.is_file()}


def _install_into(target: Path, requirements: list[str], progress: Progress) -> None:
    """Have uv install exactly these, without what they need, for this Python. Raises PackagesUnavailable."""
    options = ["--target", str(target), "--no-deps", "--compile-bytecode", "--requirements"]
    _uv(["install", *options], requirements, progress)


def resolve_for_here(requirements: tuple[str, ...], store: Store, progress: Progress) -> tuple[str, ...]:
    """The requirements as this platform needs them: other packages may come with them than where the notebook is.
    Asked of the registry once per platform, and kept in the store. Raises PackagesUnavailable."""
    entries, name = entries_of(store), f"resolutions/{_digest(*requirements, tag())}"
    found = entries.read(name)
    if found is None:
        text = _uv(["compile", "--quiet", "--no-header", "--no-annotate"], requirements, progress)
        lines = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith((" ", "#", "-"))]
        entries.write_once(name, encode(lines))
        found = entries.read(name) or encode(lines)
    return tuple(decode(found))


def _uv(arguments: list[str], requirements: Iterable[str], progress: Progress) -> str:
    """What ``uv pip`` prints with these arguments and a file of the requirements."""
    wanted = tuple(requirements)
    with tempfile.NamedTemporaryFile("w", suffix=".in") as file:
        file.write("".join(f"{each}\n" for each in wanted))
        file.flush()
        command = [_find_uv(wanted), "pip", arguments[0], "--python", sys.executable, *arguments[1:], file.name]
        code, said, wrong = _run(command, progress)
        if code == -signal.SIGKILL and not progress.stop.is_set():
            code, said, wrong = _run(command, progress)  # taken for something that a step has left behind
    if code is None:
        reason = _STOPPED if progress.stop.is_set() else f"uv was still at it after {DEADLINE:g} s."
        raise _unavailable(wanted, reason)
    if code:
        raise _unavailable(wanted, _without_addresses(wrong))
    return said


def _run(command: list[str], progress: Progress) -> tuple[int | None, str, str]:
    """Exit code and what was written; no code for a process that was stopped."""
    deadline = time.monotonic() + DEADLINE
    with subprocess.Popen(
        command, env=_environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
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


def _find_uv(requirements: tuple[str, ...]) -> str:
    beside = Path(sys.executable).with_name("uv")
    found = str(beside) if beside.exists() else shutil.which("uv")
    if found is None:
        raise _unavailable(requirements, "there is no uv on the image.")
    return found


#: Where only pip is configured, uv is told the same.
_AS_PIP = {
    "PIP_INDEX_URL": "UV_DEFAULT_INDEX",
    "PIP_EXTRA_INDEX_URL": "UV_INDEX",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_CERT": "SSL_CERT_FILE",
}


def _environment() -> dict[str, str]:
    """The worker's own, with bytecode that stays valid when files are copied."""
    environment = dict(os.environ)
    for theirs, ours in _AS_PIP.items():
        if environment.get(theirs):
            environment.setdefault(ours, environment[theirs])
    environment.pop("PYTHONPATH", None)
    environment.setdefault("UV_NO_PROGRESS", "1")
    if "UV_CACHE_DIR" not in environment:
        environment["UV_NO_CACHE"] = "1"  # what is installed is kept in the store; wheels are not wanted again
    return environment | {"PYC_INVALIDATION_MODE": "UNCHECKED_HASH"}


def _without_addresses(text: str) -> str:
    """What uv says, in one line, without addresses: they may hold names and keys that are nobody's business."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    said = [line for line in lines if not line.startswith(("Using ", "Resolved ", "Prepared ", "Downloading "))]
    return _ADDRESS.sub("<address>", " ".join(said)).removeprefix("error: ").strip() or "uv failed without a word."


def _unavailable(requirements: Iterable[str], reason: str) -> PackagesUnavailable:
    return PackagesUnavailable(
        packages=", ".join(map(_plain, requirements)),
        reason=reason,
        hint="Put them on the image (--build-arg PACKAGES=... of deploy/Dockerfile), or let the worker's uv reach a "
        "registry that has them (UV_DEFAULT_INDEX, UV_INDEX or UV_FIND_LINKS in the worker's environment).",
    )
