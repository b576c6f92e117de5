"""Inventory: the distributions on ``sys.path``, which of them give which modules, and what they need in turn.

Reads folders' names at first, and a distribution's own files only when it is asked about.
"""

from __future__ import annotations

import csv
import functools
import json
import os
import re
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import PathDistribution
from pathlib import Path
from typing import Any

from packaging.requirements import InvalidRequirement, Requirement

__all__ = ["Distribution", "Inventory", "Stamp", "distributions_in", "inventory_here", "normal", "stamp_of"]

Stamp = tuple[tuple[str, int], ...]


def normal(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


@dataclass(frozen=True, slots=True)
class Distribution:
    """An installed distribution; ``folder`` is its ``.dist-info``."""

    name: str
    version: str
    folder: Path

    @property
    def direct_url(self) -> Mapping[str, Any] | None:
        """Where it was installed from, if not from a registry (PEP 610)."""
        try:
            found: Mapping[str, Any] = json.loads((self.folder / "direct_url.json").read_bytes())
        except FileNotFoundError:
            return None
        return found

    @property
    def requires(self) -> list[Requirement]:
        """What it says that it needs."""
        found = []
        for line in PathDistribution(self.folder).requires or ():
            try:
                found.append(Requirement(line))
            except InvalidRequirement:  # of an old tool; whoever installed it has passed over it as well
                continue
        return found

    @property
    def files(self) -> list[str]:
        """Its files, relative to the folder that holds ``.dist-info``; those outside of it are left out."""
        try:
            text = (self.folder / "RECORD").read_text(encoding="utf-8")
        except FileNotFoundError:
            return []
        rows = csv.reader(text.splitlines()) if '"' in text else (line.split(",", 1) for line in text.splitlines())
        return [row[0] for row in rows if row and row[0] and not row[0].startswith(("..", "/"))]

    @property
    def modules(self) -> frozenset[str]:
        """The top-level modules among its files."""
        tops = set()
        for file in self.files:
            first, _, rest = file.partition("/")
            if not rest and first.endswith((".py", ".so", ".pyd")):
                tops.add(first.partition(".")[0])
            elif rest and first.isidentifier() and first != "__pycache__":
                tops.add(first)
        return frozenset(tops)


def stamp_of(path: Iterable[str]) -> Stamp:
    """Changes whenever something is installed into, or removed from, one of these folders."""
    found = []
    for each in path:
        try:
            found.append((each, os.stat(each or ".").st_mtime_ns))  # noqa: PTH116 - once per step and folder
        except OSError:
            found.append((each, 0))
    return tuple(found)


class Inventory:
    """Distributions by their normal names."""

    def __init__(self, distributions: Mapping[str, Distribution]) -> None:
        self.distributions = distributions
        self._needed: dict[str, tuple[tuple[str, bool], ...]] = {}

    @functools.cached_property
    def _providers(self) -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        for each in self.distributions.values():
            for module in each.modules:
                found.setdefault(module, []).append(each.name)
        return found

    def providing(self, module: str) -> list[str]:
        """The distributions with files of a top-level module: several where it is a namespace."""
        return self._providers.get(module, [])

    def closure(self, names: Iterable[str], *, loaded: Iterable[str] = ()) -> set[str]:
        """These distributions and all they need, as far as they are installed. An optional one counts when one of its
        modules is ``loaded``: only then can it have had a part in what the notebook does."""
        modules = frozenset(loaded)
        found: set[str] = set()
        todo = [normal(name) for name in names]
        while todo:
            name = todo.pop()
            if name in found or name not in self.distributions:
                continue
            found.add(name)
            for needed, is_optional in self._needs(name):
                if not is_optional or (needed in self.distributions and modules & self._modules_of(needed)):
                    todo.append(needed)
        return found

    def _modules_of(self, name: str) -> frozenset[str]:
        return self.distributions[name].modules

    def _needs(self, name: str) -> tuple[tuple[str, bool], ...]:
        """What a distribution needs on this platform, and whether only one of its extras does."""
        if name not in self._needed:
            self._needed[name] = tuple(_needs_of(self.distributions[name]))
        return self._needed[name]


def _needs_of(distribution: Distribution) -> Iterator[tuple[str, bool]]:
    for each in distribution.requires:
        if _applies(each):
            yield normal(each.name), False
        elif each.marker is not None and "extra" in str(each.marker):
            yield normal(each.name), True


def _applies(requirement: Requirement) -> bool:
    return requirement.marker is None or requirement.marker.evaluate({"extra": ""})


def _in_folder(folder: Path) -> Iterator[Distribution]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - names are all that is wanted
    except OSError:  # a zip file, or a folder that is not there
        return
    for name in sorted(names):
        if name.endswith(".dist-info"):
            project, _, version = name.removesuffix(".dist-info").rpartition("-")
            yield Distribution(normal(project), version, folder / name)


class _Reader:
    """Reads inventories, each folder again only when something was put into it or taken out."""

    def __init__(self) -> None:
        self._folders: dict[str, tuple[int, tuple[Distribution, ...]]] = {}
        self._latest: tuple[Stamp, Inventory] | None = None

    def read(self, path: Iterable[str]) -> Inventory:
        """The inventory of these folders; of two distributions of one name the first counts, as for an import. The
        same object as the time before, where nothing was installed."""
        stamp = stamp_of(path)
        if self._latest is not None and self._latest[0] == stamp:
            return self._latest[1]
        found: dict[str, Distribution] = {}
        for folder, changed in stamp:
            for each in self._in_folder(folder, changed):
                found.setdefault(each.name, each)
        inventory = Inventory(found)
        if self._latest is not None and self._latest[1].distributions == found:
            inventory = self._latest[1]
        self._latest = (stamp, inventory)
        return inventory

    def _in_folder(self, folder: str, changed: int) -> tuple[Distribution, ...]:
        known = self._folders.get(folder)
        if known is None or known[0] != changed:
            known = self._folders[folder] = (changed, tuple(_in_folder(Path(folder))))
        return known[1]


_reader = _Reader()


def distributions_in(folder: str) -> dict[str, Distribution]:
    """The distributions of one folder by name."""
    return {each.name: each for each in _in_folder(Path(folder))}


def inventory_here() -> Inventory:
    """That of this process's ``sys.path``."""
    return _reader.read(sys.path)
