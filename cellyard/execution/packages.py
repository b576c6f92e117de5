"""Packages: which versions a step has had of what its notebook has imported. Told from the engine's own environment,
which is the kernel's; from the lock, where a step runs elsewhere."""

from __future__ import annotations

import asyncio
import platform
import threading
from collections.abc import Mapping

from cellyard.environment.inventory import inventory_here
from cellyard.execution.journal import Journal
from cellyard.model import StepRequest

__all__ = ["PackageVersions"]


class PackageVersions:
    """Remembers what it has found: reading an environment takes a tenth of a second, and a step has no time for it."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, ...], Mapping[str, str]] = {}
        self._lock = threading.Lock()

    def known(self, request: StepRequest) -> Mapping[str, str] | None:
        """The versions, when they can be told at once."""
        if request.environment is not None:
            return _of_lock(request.environment)
        return self._known.get(request.packages)

    async def note(self, journal: Journal, step_id: int, modules: tuple[str, ...]) -> None:
        """Find the versions, and write them to the step soon after."""
        found = await asyncio.to_thread(self.find, modules)
        journal.post(lambda records: records.note_packages(step_id, found))

    def find(self, modules: tuple[str, ...]) -> Mapping[str, str]:
        """The versions of the distributions that give these modules, and Python's. Reads files; any thread."""
        with self._lock:
            inventory = inventory_here()
            names = {name for module in modules for name in inventory.providing(module.partition(".")[0])}
            found = {name: inventory.distributions[name].version for name in sorted(names)}
            self._known[modules] = {"python": platform.python_version(), **found}
            return self._known[modules]


def _of_lock(environment: Mapping[str, object]) -> Mapping[str, str]:
    lock = environment.get("lock") or ()
    assert isinstance(lock, list | tuple)
    pairs = [str(each).partition("==") for each in lock]
    versions = environment.get("versions")
    python = str(versions.get("python", "")) if isinstance(versions, Mapping) else ""
    return {"python": python, **{name.strip(): version for name, sign, version in pairs if sign}}
