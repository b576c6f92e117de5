"""Local modules: which top-level modules live beside the notebook, or are installed from a folder of this machine, and
what files they have.

*Local* is what neither Python nor a registry gives: not in the standard library, not below a ``site-packages``. What
counts is the file on disk, as for a process that starts now; the kernel may have an older one loaded.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlparse

from cellyard.analysis.imports import modules_imported_in
from cellyard.environment.inventory import Distribution, Inventory, Stamp, stamp_of
from cellyard.environment.locality import INSTALLED, is_local
from cellyard.errors import ModulesTooLarge

__all__ = ["LIMIT", "Source", "Sources"]

LIMIT = 64 << 20
"""Bytes that one local module may have, data files included."""
MOST_FILES = 5000
_NOT_OURS = {"__main__", "cellyard", "kernel_magics"}
_PASSED_OVER = {"__pycache__", "node_modules", "venv"}
_METADATA = ("METADATA", "entry_points.txt", "top_level.txt")

Fingerprint = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Source:
    """A local top-level module: ``files`` by the names that they get on the worker. ``fingerprint`` changes with
    them."""

    name: str
    files: Mapping[str, Path]
    fingerprint: Fingerprint

    @property
    def is_installed(self) -> bool:
        """Whether it is one of no registry, but lies among the installed packages."""
        return any(not INSTALLED.isdisjoint(path.parts) for path in self.files.values())

    @property
    def python_files(self) -> list[Path]:
        """Those that are Python, without its tests: these import what a step never uses."""
        return [path for name, path in self.files.items() if name.endswith(".py") and not _is_test(name)]


def _is_test(name: str) -> bool:
    *folders, file = name.split("/")
    return not {"test", "tests"}.isdisjoint(folders) or file == "conftest.py"


class Sources:
    """Finds local modules in this process. Remembers where they are for as long as the folders of ``sys.path`` stay
    as they are; what is in them is looked at anew each time."""

    def __init__(self) -> None:
        self._stamp: Stamp = ()
        self._places: dict[str, tuple[str, ...]] = {}
        self._imports: dict[tuple[str, int, int], frozenset[str]] = {}
        self._editable: dict[str, Distribution] = {}

    def find(self, names: Iterable[str], inventory: Inventory) -> tuple[list[Source], set[str]]:
        """The local modules among ``names`` and those that they import in turn, by name; and all other modules that
        ``names`` and they import. Raises ModulesTooLarge."""
        self._refresh(inventory)
        local: dict[str, Source] = {}
        others: set[str] = set()
        todo = set(names) - _NOT_OURS - sys.stdlib_module_names
        while todo:
            name = todo.pop()
            places = self._places_of(name, inventory)
            if not places:
                others.add(name)
                continue
            local[name] = source = self._read(name, places)
            for path in source.python_files:
                todo |= self._imports_of(path) - local.keys() - others - _NOT_OURS - sys.stdlib_module_names
        return [local[name] for name in sorted(local)], others

    def distribution_of(self, source: Source) -> Distribution | None:
        """The distribution that was installed in development mode from where this module is."""
        first = str(next(iter(source.files.values())))
        return next((found for root, found in self._editable.items() if first.startswith(root + os.sep)), None)

    def _refresh(self, inventory: Inventory) -> None:
        stamp = stamp_of(sys.path)
        if stamp != self._stamp:
            self._stamp = stamp
            self._places.clear()
            importlib.invalidate_caches()
            found = inventory.distributions.values()
            self._editable = {root: each for each in found if (root := _development_folder(each))}

    def _places_of(self, name: str, inventory: Inventory) -> tuple[str, ...]:
        known = self._places.get(name)
        if known is None or not all(map(os.path.exists, known)):
            known = self._places[name] = tuple(_local_places(name)) or tuple(_installed_from_folder(name, inventory))
        return known

    def _read(self, name: str, places: tuple[str, ...]) -> Source:
        files: dict[str, Path] = {}
        fingerprint: list[tuple[str, int, int]] = []
        size = 0
        for file, path, status in _walk(places):
            files[file] = path
            fingerprint.append((str(path), status.st_mtime_ns, status.st_size))
            size += status.st_size
            if size > LIMIT or len(files) > MOST_FILES:
                raise _too_large(name, places)
        source = Source(name, files, tuple(sorted(fingerprint)))
        distribution = self.distribution_of(source) if files else None
        for part in _METADATA if distribution is not None else ():
            assert distribution is not None
            path = distribution.folder / part
            if path.is_file():
                files[f"{distribution.folder.name}/{part}"] = path
        return source

    def _imports_of(self, path: Path) -> frozenset[str]:
        status = path.stat()
        key = (str(path), status.st_mtime_ns, status.st_size)
        if key not in self._imports:
            self._imports[key] = modules_imported_in(path.read_text(encoding="utf-8", errors="replace"))
        return self._imports[key]


def _local_places(name: str) -> Iterator[str]:
    """The file, folder or (of a namespace) folders of a module, where they are local."""
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):  # not there, or put into sys.modules by hand
        return
    if spec is None:
        return
    places = spec.submodule_search_locations if spec.submodule_search_locations is not None else [spec.origin or ""]
    for place in places:
        if os.path.isabs(place) and os.path.exists(place) and is_local(place):  # noqa: PTH117, PTH110
            yield place


def _installed_from_folder(name: str, inventory: Inventory) -> Iterator[str]:
    """The places of a module below ``site-packages`` that no registry has: installed from a folder, a file or a
    repository."""
    for each in inventory.providing(name):
        distribution = inventory.distributions[each]
        if not is_from_registry(distribution):
            place = distribution.folder.parent / name
            yield str(place if place.is_dir() else place.with_suffix(".py"))


def is_from_registry(distribution: Distribution) -> bool:
    """Whether a worker can install the distribution too: from a registry, or from an address on the web."""
    url = distribution.direct_url
    return url is None or ("archive_info" in url and str(url["url"]).startswith(("http://", "https://")))


def _development_folder(distribution: Distribution) -> str | None:
    url = distribution.direct_url
    if url is None or not url.get("dir_info", {}).get("editable"):
        return None
    return unquote(urlparse(str(url["url"])).path).rstrip("/")


def _walk(places: tuple[str, ...]) -> Iterator[tuple[str, Path, os.stat_result]]:
    """Every file of a module, with its name relative to the folder that holds the module."""
    for place in places:
        path = Path(place)
        if not path.is_dir():
            yield path.name, path, path.stat()
            continue
        for folder, folders, files in os.walk(path, followlinks=True):
            folders[:] = sorted(name for name in folders if name not in _PASSED_OVER and not name.startswith("."))
            inner = Path(folder)
            for name in sorted(files):
                if not name.endswith((".pyc", ".pyo")) and not name.startswith(".") and (inner / name).is_file():
                    file = inner / name
                    yield f"{path.name}/{file.relative_to(path).as_posix()}", file, file.stat()


def _too_large(name: str, places: tuple[str, ...]) -> ModulesTooLarge:
    sizes = sorted(((status.st_size, file) for file, _, status in _walk(places)), reverse=True)
    total = sum(size for size, _ in sizes)
    largest = ", ".join(f"{file} ({_mebibytes(size)})" for size, file in sizes[:3])
    return ModulesTooLarge(
        module=name,
        size=f"{_mebibytes(total)} in {len(sizes):,} files",
        limit=f"{_mebibytes(LIMIT)} in {MOST_FILES:,} files",
        largest=f"Largest: {largest}. ",
        hint="Keep data outside of the package and give it to the step as a value, or put the package on the image.",
    )


def _mebibytes(size: int) -> str:
    return f"{size / (1 << 20):.1f} MiB"
