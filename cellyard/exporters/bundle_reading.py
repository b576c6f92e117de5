"""Reading bundles: the folder that an export wrote, or somebody has changed since, as what is to be run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from cellyard.errors import UsageError
from cellyard.exporters.bundle import FORMAT, MANIFEST
from cellyard.model.pipeline import Parameter

__all__ = ["Bundle", "BundleStep", "is_bundle", "read_bundle"]

_HEAD = re.compile(r"^# %%.*$", re.MULTILINE)
_BLOCK = re.compile(r"^# %% cell \d+$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class BundleStep:
    """One step: its name, what stood behind ``%%step``, its code, and the file that this is in."""

    name: str
    line: str
    source: str
    file: str
    makes: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """The step as a cell of a notebook."""
        words = self.line.split()
        line = self.line if words and words[0] == self.name else f"{self.name} {self.line}".strip()
        return f"%%step {line}\n{self.source}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in ``folder``. ``setup`` is the code that runs before all steps, in blocks, each with the file that it
    is in; ``files`` the folder in which it runs."""

    folder: Path
    name: str
    notebook: str
    parameters: tuple[Parameter, ...]
    setup: tuple[tuple[str, str], ...]
    steps: tuple[BundleStep, ...]

    @property
    def files(self) -> Path:
        """The modules and data that go with it."""
        return self.folder / "files"

    @property
    def lock(self) -> Path:
        """What its environment is made from."""
        return self.folder / "pylock.toml"


def is_bundle(path: Path) -> bool:
    """Whether there is a bundle in this folder."""
    return (path / MANIFEST).is_file()


def read_bundle(folder: Path) -> Bundle:
    """The bundle in a folder. Raises UsageError for what is not there, or cannot be understood."""
    content = _manifest(folder)
    try:
        if int(content["bundle"]) > FORMAT:
            raise UsageError(f"{folder} was written by a newer cellyard (bundle {content['bundle']}).")
        return Bundle(
            folder=folder,
            name=str(content["name"]),
            notebook=str(content["notebook"]),
            parameters=tuple(
                Parameter(str(each["name"]), str(each["type"]), str(each["default"]), 0)
                for each in content.get("parameters") or ()
            ),
            setup=tuple((name, block) for name in content.get("setup") or () for block in _blocks(folder, name)),
            steps=tuple(_step(folder, each) for each in content["steps"]),
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise UsageError(f"{folder / MANIFEST} is not understood: {type(error).__name__}: {error}") from error


def _manifest(folder: Path) -> Mapping[str, Any]:
    try:
        content = yaml.safe_load((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise UsageError(f"{folder} is no bundle: {error}") from error
    if not isinstance(content, dict):
        raise UsageError(f"{folder / MANIFEST} is not understood: it is no table.")
    return content


def _step(folder: Path, entry: Mapping[str, Any]) -> BundleStep:
    text = _text(folder, str(entry["file"]))
    found = _HEAD.search(text)
    body = text if found is None else text[found.end() :].removeprefix("\n")
    makes = tuple(map(str, entry.get("makes") or ()))
    return BundleStep(str(entry["name"]), str(entry.get("line") or ""), body.removesuffix("\n"), entry["file"], makes)


def _blocks(folder: Path, name: str) -> list[str]:
    return [each.strip("\n") for each in _BLOCK.split(_text(folder, name))[1:]]


def _text(folder: Path, name: str) -> str:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise UsageError(f"{folder / MANIFEST} names a file outside of the bundle: {name}")
    try:
        return (folder / place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder / place} cannot be read: {error}") from error
