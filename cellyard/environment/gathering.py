"""Gathering: what a step of this kernel needs elsewhere. Its local modules are in the store when this returns.

Cheap where nothing has changed: a few stats per step, and one per file of the local modules that it reaches.
"""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterable
from typing import NamedTuple

from cellyard.artifacts.store import Store
from cellyard.environment.bundles import put_bundle
from cellyard.environment.inventory import Distribution, Inventory, inventory_here
from cellyard.environment.request import Environment, ModuleBundle
from cellyard.environment.sources import Fingerprint, Source, Sources, is_from_registry
from cellyard.environment.versions import versions_here

__all__ = ["Gathered", "Gatherer"]


class Gathered(NamedTuple):
    """The environment, and what the user should know of it."""

    environment: Environment
    notes: tuple[str, ...]


class _Loaded(NamedTuple):
    """A local module as it was when a step first used it as the kernel has it now."""

    spec: object
    fingerprint: Fingerprint


class _Needed(NamedTuple):
    """Requirements that a worker can install, and modules of distributions that it cannot."""

    lock: tuple[str, ...]
    modules: frozenset[str]


class Gatherer:
    """Gathers for the steps of one kernel; ``store`` is where bundles go."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._sources = Sources()
        self._bundles: dict[str, tuple[Fingerprint, ModuleBundle]] = {}
        self._loaded: dict[str, _Loaded] = {}
        self._known: dict[tuple[frozenset[str], frozenset[str]], _Needed] = {}
        self._needed_of: Inventory | None = None

    def gather(self, modules: Iterable[str], *, also_installed: Iterable[str] = ()) -> Gathered:
        """What these top-level modules need; of ``also_installed``, the installed ones too. Raises ModulesTooLarge."""
        inventory = inventory_here()
        names = set(modules)
        sources, others = self._sources.find(names, inventory)
        others |= {each.name for each in sources if each.is_installed}
        installed = frozenset(others.union(each.partition(".")[0] for each in also_installed))
        needed = self._needed(inventory, installed, self._developed(sources))
        if needed.modules - names:  # packages of no registry, which a package of one needs
            sources, _ = self._sources.find(names | needed.modules, inventory)
        environment = Environment(
            versions=versions_here(),
            platform=sysconfig.get_platform(),
            lock=needed.lock,
            modules=tuple(map(self._bundle, sources)),
        )
        return Gathered(environment, tuple(note for each in sources if (note := self._note(each)) is not None))

    def _developed(self, sources: Iterable[Source]) -> frozenset[str]:
        """The distributions that were installed from where these modules are."""
        return frozenset(found.name for each in sources if (found := self._sources.distribution_of(each)) is not None)

    def _bundle(self, source: Source) -> ModuleBundle:
        known = self._bundles.get(source.name)
        if known is not None and known[0] == source.fingerprint:
            return known[1]
        bundle = ModuleBundle(source.name, *put_bundle(self._store, source.files))
        self._bundles[source.name] = (source.fingerprint, bundle)
        return bundle

    def _note(self, source: Source) -> str | None:
        """Whether the kernel still has an older form of the module than the file on disk."""
        module = sys.modules.get(source.name)
        spec = getattr(module, "__spec__", None)
        known = self._loaded.get(source.name)
        if module is None or spec is None:
            self._loaded.pop(source.name, None)
            return None
        if known is None or known.spec is not spec:  # imported, or reloaded, since the step before
            self._loaded[source.name] = _Loaded(spec, source.fingerprint)
            return None
        if known.fingerprint == source.fingerprint:
            return None
        return f"{source.name} has changed since the kernel imported it: the step uses the files as they are now"

    def _needed(self, inventory: Inventory, modules: frozenset[str], developed: frozenset[str]) -> _Needed:
        if self._needed_of is not inventory:
            self._known.clear()
            self._needed_of = inventory
        key = (modules, developed)
        if key not in self._known:
            self._known[key] = _needed(inventory, modules, developed)
        return self._known[key]


def _needed(inventory: Inventory, modules: Iterable[str], developed: Iterable[str]) -> _Needed:
    names = {name for module in modules for name in inventory.providing(module)}.union(developed) - {"cellyard"}
    # Not what begins with an underscore: setuptools, where it is installed, loads such a module into every process.
    loaded = {name.partition(".")[0] for name in list(sys.modules) if not name.startswith("_")}
    found = [inventory.distributions[each] for each in inventory.closure(names, loaded=loaded) - {"cellyard"}]
    others = [each for each in found if not is_from_registry(each) and each.name not in developed]
    lock = sorted(_requirement(each) for each in found if is_from_registry(each))
    return _Needed(tuple(lock), frozenset(module for each in others for module in each.modules))


def _requirement(distribution: Distribution) -> str:
    url = distribution.direct_url
    if url is not None:
        return f"{distribution.name} @ {url['url']}"
    return f"{distribution.name}=={distribution.version}"
