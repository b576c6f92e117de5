"""Preparing a worker for a step that comes from elsewhere: what is to be put on its ``sys.path``.

Blocks, may take as long as an installation does, and is done once per environment and worker: whoever calls it keeps
what it returns.
"""

from __future__ import annotations

import sysconfig
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from cellyard.artifacts.store import Store
from cellyard.environment.bundles import appear, unpack
from cellyard.environment.filling import fill, folder_name, resolve_for_here
from cellyard.environment.installer import Progress
from cellyard.environment.inventory import Distribution, Inventory, inventory_here, normal
from cellyard.environment.request import Environment
from cellyard.environment.versions import check_versions, series, versions_here
from cellyard.errors import PackagesUnavailable

__all__ = ["Prepared", "lacking", "prepare"]


@dataclass(frozen=True, slots=True)
class Prepared:
    """``modules`` is the folder of local modules, first on the path; ``packages`` that of the packages that the image
    lacks, before the image's own. Either may be empty: there is nothing to add."""

    modules: str = ""
    packages: str = ""

    @property
    def path(self) -> list[str]:
        """The entries for ``sys.path``, in order."""
        return [each for each in (self.modules, self.packages) if each]


def prepare(environment: Environment, store: Store, folder: Path, progress: Progress) -> Prepared:
    """Have everything below ``folder`` that a step needs which this worker has not.

    Complete or an error: VersionMismatch, PackagesUnavailable, or one of the store's.
    """
    check_versions(environment.versions, versions_here())
    return Prepared(
        modules=_modules(environment, store, folder / "modules"),
        packages=_packages(environment, store, folder / "packages", progress),
    )


def _modules(environment: Environment, store: Store, folder: Path) -> str:
    if not environment.modules:
        return ""

    def content(target: Path) -> None:
        for each in environment.modules:
            unpack(store.read(each.id), target)

    return str(appear(folder / folder_name(each.id for each in environment.modules), content))


def _packages(environment: Environment, store: Store, folder: Path, progress: Progress) -> str:
    here = inventory_here()
    missing = lacking(environment.lock, here)
    if missing and environment.platform != sysconfig.get_platform():
        missing = lacking(resolve_for_here(environment.lock, store, progress), here)
    if not missing:
        return ""
    try:
        return str(fill(missing, store, folder, progress))
    except PackagesUnavailable as error:
        if not all(_near_enough(each, here.distributions) for each in missing):
            raise
        progress.tell(f"the image's own are used instead of {error.packages}: they are of the same series")
        return ""


def lacking(lock: Iterable[str], here: Inventory) -> tuple[str, ...]:
    """The requirements of a lock that are not installed here in the very version.

    What cellyard itself runs on is left as it is: the process that forks the steps has it loaded already.
    """
    own = here.closure(["cellyard"])
    found = []
    for requirement in lock:
        name, version = _split(requirement)
        installed = here.distributions.get(name)
        if name not in own and (installed is None or version is None or installed.version != version):
            found.append(requirement)
    return tuple(sorted(found))


def _near_enough(requirement: str, here: Mapping[str, Distribution]) -> bool:
    name, version = _split(requirement)
    installed = here.get(name)
    return installed is not None and version is not None and series(installed.version) == series(version)


def _split(requirement: str) -> tuple[str, str | None]:
    """Name and version; no version for one that comes from an address."""
    name, _, version = requirement.partition("==")
    if not version:
        return normal(requirement.partition(" @ ")[0]), None
    return normal(name), version
