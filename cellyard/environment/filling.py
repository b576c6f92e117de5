"""Filling a folder with packages that an image lacks: from the store where some worker has installed them before, else
by uv, once, for all workers to come.

Each installed distribution is a bundle of its own, so environments that differ in one package share all others. An
entry per environment names its bundles.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cellyard.artifacts.encoding import decode, encode
from cellyard.artifacts.entries import Entries, entries_of
from cellyard.artifacts.store import Store
from cellyard.environment.bundles import Bundled, appear, put_bundle, unpack_all
from cellyard.environment.claims import Claim
from cellyard.environment.installer import (
    DEADLINE,
    STOPPED,
    Installer,
    Progress,
    Site,
    name_of,
    plain,
    unavailable,
)
from cellyard.environment.inventory import Distribution, distributions_in
from cellyard.errors import PackagesUnavailable

__all__ = ["fill", "folder_name", "resolve_for_here", "supply"]

_POLL = 0.1


def folder_name(requirements: Iterable[str], site: Site | None = None) -> str:
    """The name under which these requirements are filled on workers of a site: this one, unless given."""
    return _digest(*sorted(requirements), (site or Site.here()).tag)


def _digest(*parts: str) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def fill(requirements: tuple[str, ...], store: Store, folder: Path, progress: Progress) -> Path:
    """A folder for ``sys.path`` with these requirements and nothing else, below ``folder``.

    Where several workers want the same at once, one installs and the others wait for what it stores. Raises
    PackagesUnavailable.
    """

    def content(target: Path) -> None:
        try:
            bundles = _Filling(requirements, Site.here(), store, progress).bundles()
        except PackagesUnavailable as error:
            raise _with_remedy(error, "install", requirements) from error
        began = time.monotonic()
        unpack_all(store, bundles, target)
        progress.tell(f"{_count(bundles)} put in place in {time.monotonic() - began:.1f} s")

    return appear(folder / folder_name(requirements), content)


def resolve_for_here(requirements: tuple[str, ...], store: Store, progress: Progress) -> tuple[str, ...]:
    """The requirements as this platform needs them: other packages may come with them than where the notebook is.
    Asked of the registry once per platform, and kept in the store. Raises PackagesUnavailable."""
    try:
        return _resolve(requirements, Site.here(), store, progress)
    except PackagesUnavailable as error:
        raise _with_remedy(error, "resolve", requirements) from error


def _resolve(requirements: tuple[str, ...], site: Site, store: Store, progress: Progress) -> tuple[str, ...]:
    entries, name = entries_of(store), f"resolutions/{_digest(*requirements, site.tag)}"
    found = entries.read(name)
    if found is None:
        resolved = encode(Installer(site, progress).resolve(requirements))
        entries.write_once(name, resolved)
        found = entries.read(name) or resolved
    return tuple(decode(found))


def _with_remedy(error: PackagesUnavailable, what: str, requirements: Iterable[str]) -> PackagesUnavailable:
    """The error with all that :func:`supply` needs to do elsewhere what could not be done here."""
    named = [name_of(each) if " @ " in each else each for each in requirements]  # an address belongs into no record
    remedy = {"what": what, "requirements": named, "site": Site.here().to_dict()}
    return PackagesUnavailable(**{**error.fields, "remedy": remedy})


def supply(remedy: Mapping[str, Any], lock: Iterable[str], store: Store, progress: Progress) -> None:
    """Do here, and put into the store, what a worker without a way to a registry could not: afterwards it finds there
    what it lacks. ``lock`` is that of the step. Raises PackagesUnavailable."""
    addresses = {name_of(each): each for each in lock if " @ " in each}
    requirements = tuple(addresses.get(each, each) for each in remedy["requirements"])
    site = Site.from_dict(remedy["site"])
    if remedy["what"] == "resolve":
        _resolve(requirements, site, store, progress)
    else:
        _Filling(requirements, site, store, progress).bundles()


def _count(many: Iterable[object]) -> str:
    number = len(list(many))
    return f"{number} package{'s' if number != 1 else ''}"


class _Filling:
    """One environment on its way into the store."""

    def __init__(self, requirements: tuple[str, ...], site: Site, store: Store, progress: Progress) -> None:
        self._requirements = requirements
        self._site = site
        self._name = folder_name(requirements, site)
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
                raise unavailable(self._requirements, f"another worker has been at it for {DEADLINE:g} s.")
            if self._progress.stop.wait(_POLL):
                raise unavailable(self._requirements, STOPPED)
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
        found = self._entries.read(self._part_name(requirement))
        return None if found is None else Bundled(*decode(found))

    def _install(self, missing: list[str]) -> dict[str, Bundled]:
        listed = ", ".join(map(plain, missing))
        self._tell(f"installing {_count(missing)} that the image lacks: {listed}")
        began = time.monotonic()
        with tempfile.TemporaryDirectory(prefix="cy-packages-") as folder:
            Installer(self._site, self._progress).install(missing, Path(folder))
            installed = distributions_in(folder)
            found = {}
            for requirement in missing:
                found[requirement] = put_bundle(self._store, _files_of(installed[name_of(requirement)]))
                self._entries.write_once(self._part_name(requirement), encode(list(found[requirement])))
        self._tell(f"installed, and kept in the store for other workers, in {time.monotonic() - began:.1f} s")
        return found

    def _part_name(self, requirement: str) -> str:
        return f"packages/{_digest(requirement, self._site.tag)}"


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
