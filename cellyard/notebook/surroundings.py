"""What a cell depends on beside the notebook: packages by version, modules beside it and files by content."""

from __future__ import annotations

import hashlib
import importlib.metadata
import platform
import sys
from collections.abc import Iterable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

from cellyard.analysis import modules_imported_in

__all__ = ["Surroundings"]

_CHUNK = 1 << 20


class Surroundings:
    """What there is in one folder and in this environment, each file read once."""

    def __init__(self, folder: Path, kernel: str = "python3") -> None:
        self._folder = folder
        version = ".".join(platform.python_version_tuple()[:2])
        self._python = version if kernel == "python3" else f"{version} (kernel {kernel})"
        self._local: dict[str, tuple[str, frozenset[str]] | None] = {}
        self._files: dict[str, str] = {}

    def parts(self, modules: Iterable[str], files: Iterable[str] = ()) -> Mapping[str, Any]:
        """The parts ``packages``, ``modules``, ``files`` and ``python`` of a key."""
        packages: dict[str, str] = {}
        local: dict[str, str] = {}
        pending, seen = list(modules), set()  # type: tuple[list[str], set[str]]
        while pending:
            name = pending.pop()
            if not name or name in seen:
                continue
            seen.add(name)
            found = self._module(name)
            if found is not None:
                local[name] = found[0]
                pending.extend(found[1])
            elif name not in sys.stdlib_module_names and (version := _version(name)):
                packages[name] = version
        return {
            "packages": packages,
            "modules": local,
            "files": {name: self._file(name) for name in files},
            "python": self._python,
        }

    def _module(self, name: str) -> tuple[str, frozenset[str]] | None:
        """The hash of a module beside the notebook, and what it imports; None when there is none."""
        if name not in self._local:
            sources = self._sources(name)
            hasher = hashlib.sha256()
            imported: set[str] = set()
            for path in sources:
                text = path.read_bytes()
                hasher.update(str(path.relative_to(self._folder)).encode() + b"\0" + text + b"\0")
                imported |= modules_imported_in(text.decode("utf-8", "replace"))
            self._local[name] = (hasher.hexdigest()[:32], frozenset(imported)) if sources else None
        return self._local[name]

    def _sources(self, name: str) -> list[Path]:
        alone, package = self._folder / f"{name}.py", self._folder / name
        if alone.is_file():
            return [alone]
        return sorted(package.rglob("*.py")) if (package / "__init__.py").is_file() else []

    def _file(self, name: str) -> str:
        """The hash of a file's content, or of all files in a folder."""
        if name not in self._files:
            self._files[name] = _content(self._folder / Path(name).expanduser())
        return self._files[name]


def _content(path: Path) -> str:
    if path.is_dir():
        inner = [each for each in sorted(path.rglob("*")) if each.is_file()]
        return hashlib.sha256(
            "\n".join(f"{each.relative_to(path)} {_content(each)}" for each in inner).encode()
        ).hexdigest()
    hasher = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while piece := file.read(_CHUNK):
                hasher.update(piece)
    except OSError as error:
        return f"unreadable: {error.strerror}"
    return hasher.hexdigest()[:32]


@lru_cache(maxsize=1024)
def _version(module: str) -> str:
    """The version of the distribution that brings the module; empty when nobody knows it."""
    try:
        return importlib.metadata.version(module)
    except importlib.metadata.PackageNotFoundError:
        found = _distributions().get(module) or [""]
        return importlib.metadata.version(found[0]) if found[0] else ""


@lru_cache(maxsize=1)
def _distributions() -> Mapping[str, list[str]]:
    return importlib.metadata.packages_distributions()
