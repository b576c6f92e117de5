"""What a bundle needs beside its code: local modules, and the packages as a lock with hashes.

Reads this machine's disks, imports the packages once in a process of their own, and asks registries by way of uv.
"""

from __future__ import annotations

import contextlib
import json
import platform
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cellyard.environment.installer import Installer, Progress, Site
from cellyard.environment.inventory import Inventory, inventory_here
from cellyard.environment.sources import Sources, is_from_registry
from cellyard.errors import UsageError

__all__ = ["BundleNeeds", "find_needs", "without_credentials"]

_OURS = "cellyard"
_OUR_EXTRAS = ("engine",)
_IMPORT_DEADLINE = 120.0
_USERINFO = re.compile(r"(?<=://)[^/@\s\"']+@")
_INDEX = re.compile(r'^index = "(?!https://pypi\.org/simple/?").*"\n', re.MULTILINE)
_IMPORT_ALL = """
import importlib, json, sys
for name in json.loads(sys.argv[1]):
    try:
        importlib.import_module(name)
    except Exception as error:
        print(f"{name}: {type(error).__name__}: {error}", file=sys.stderr)
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})))
"""


@dataclass(frozen=True, slots=True)
class BundleNeeds:
    """``modules``: local files by their names beside the notebook; ``requirements``: every package in its version;
    ``python``: the version that all of this is for; ``notes`` for the person."""

    modules: dict[str, bytes]
    requirements: tuple[str, ...]
    python: str
    notes: tuple[str, ...] = ()

    def lock(self) -> str:
        """The requirements as a pylock.toml with hashes. Raises PackagesUnavailable."""
        text = Installer(Site.here(), Progress(lambda text: None)).lock(self.requirements)
        return without_credentials(text)


def find_needs(folder: Path, modules: Iterable[str]) -> BundleNeeds:
    """What these modules are and need, as a notebook in that folder would find them. Raises ModulesTooLarge."""
    names = set(modules) - {_OURS, "kernel_magics"}
    with _first_on_path(str(folder)):
        inventory = inventory_here()
        local, others = Sources().find(names, inventory)
        inside = [each for each in local if not each.is_installed]
        files = {name: path.read_bytes() for each in inside for name, path in each.files.items()}
    loaded, notes = _loaded(sorted(others), folder)
    requirements, left_out = _requirements(inventory, others, loaded)
    if left_out:
        notes.append(f"not from a registry, and not in the lock: {', '.join(left_out)}.")
    return BundleNeeds(files, requirements, platform.python_version(), tuple(notes))


def without_credentials(lock: str) -> str:
    """The lock without names and passwords in addresses, and without those of private indexes: the standard asks for
    the address of each file alone."""
    return _INDEX.sub("", _USERINFO.sub("", lock))


def _requirements(
    inventory: Inventory, modules: Iterable[str], loaded: Iterable[str]
) -> tuple[tuple[str, ...], list[str]]:
    """Pinned, sorted; and what cannot be pinned to a registry's version."""
    wanted = {name for module in modules for name in inventory.providing(module)} | set(_our_needs(inventory))
    found = [inventory.distributions[each] for each in inventory.closure(wanted, loaded=loaded)]
    pinned = [each for each in found if is_from_registry(each) and each.direct_url is None]
    others = sorted(each.name for each in found if each not in pinned and each.name != _OURS)
    return tuple(sorted(f"{each.name}=={each.version}" for each in pinned)), others


def _our_needs(inventory: Inventory) -> Iterator[str]:
    """What running a bundle takes: our own base and the engine's."""
    ours = inventory.distributions.get(_OURS)
    if ours is None:
        raise UsageError("cellyard is not installed in this environment, so what it needs is not known.")
    yield _OURS
    for each in ours.requires:
        if each.marker is None or any(each.marker.evaluate({"extra": extra}) for extra in ("", *_OUR_EXTRAS)):
            yield each.name


def _loaded(modules: list[str], folder: Path) -> tuple[list[str], list[str]]:
    """All top-level modules that a process has loaded after importing these: packages use others where they find
    them."""
    command = [sys.executable, "-c", _IMPORT_ALL, json.dumps(modules)]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=_IMPORT_DEADLINE, check=False
        )
        found: list[str] = json.loads(done.stdout.splitlines()[-1])
    except (OSError, subprocess.TimeoutExpired, ValueError, IndexError):
        return [], ["the packages could not all be imported here; optional ones may be missing in the lock."]
    return found, [
        f"it does not import here: {line}" for line in done.stderr.splitlines() if line.split(":")[0] in modules
    ]


@contextlib.contextmanager
def _first_on_path(folder: str) -> Iterator[None]:
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
