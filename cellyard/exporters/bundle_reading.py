"""Reading bundles: the folder that an export wrote, or somebody has changed since, as what is to be run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import yaml

from cellyard.errors import UsageError
from cellyard.exporters.bundle import FORMAT, MANIFEST
from cellyard.model.pipeline import Parameter

__all__ = ["Block", "Bundle", "BundleStep", "is_bundle", "read_bundle"]

_HEAD = re.compile(r"^# %%.*$", re.MULTILINE)
_BLOCK = re.compile(r"^# %% cell (\d+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Block:
    """Code that is no step, the file that it is in, and the number of the notebook's cell that it was."""

    file: str
    source: str
    place: int

    @property
    def sets_parameters(self) -> bool:
        """Whether the parameters' defaults are set here."""
        return self.file.startswith("parameters")


@dataclass(frozen=True, slots=True)
class BundleStep:
    """One step: its name, what stood behind ``%%step``, its code, the file that this is in, and the number of the
    notebook's cell that it was."""

    name: str
    line: str
    source: str
    file: str
    place: int
    makes: tuple[str, ...] = ()

    @property
    def cell(self) -> str:
        """The step as a cell of a notebook."""
        words = self.line.split()
        line = self.line if words and words[0] == self.name else f"{self.name} {self.line}".strip()
        return f"%%step {line}\n{self.source}"


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle in ``folder``. ``setup`` are the blocks of code beside the steps; ``files`` the folder in which it
    runs."""

    folder: Path
    name: str
    notebook: str
    parameters: tuple[Parameter, ...]
    setup: tuple[Block, ...]
    steps: tuple[BundleStep, ...]

    def ordered(self) -> Iterator[Block | BundleStep]:
        """All of it as the cells of a notebook: the steps as they are listed, each block before the first step that
        came after it there."""
        waiting = list(self.setup)
        for step in self.steps:
            while waiting and waiting[0].place < step.place:
                yield waiting.pop(0)
            yield step
        yield from waiting

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
            setup=tuple(sorted(_blocks(folder, content.get("setup") or ()), key=lambda block: block.place)),
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
    line, source, file = str(entry.get("line") or ""), body.removesuffix("\n"), str(entry["file"])
    return BundleStep(str(entry["name"]), line, source, file, int(entry["cell"]), makes)


def _blocks(folder: Path, names: Iterable[str]) -> Iterator[Block]:
    for name in names:
        _, *parts = _BLOCK.split(_text(folder, name))
        for number, source in zip(parts[::2], parts[1::2], strict=True):
            yield Block(name, source.strip("\n"), int(number))


def _text(folder: Path, name: str) -> str:
    place = PurePosixPath(name)
    if place.is_absolute() or ".." in place.parts:
        raise UsageError(f"{folder / MANIFEST} names a file outside of the bundle: {name}")
    try:
        return (folder / place).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{folder / place} cannot be read: {error}") from error
