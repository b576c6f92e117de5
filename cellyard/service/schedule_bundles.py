"""The bundles of schedules: made or copied, with what goes along when one takes the place of another."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cellyard.errors import UsageError
from cellyard.exporters.bundle_reading import is_bundle
from cellyard.exporters.bundling import content_of, make_bundle, write_export
from cellyard.model.plain import Plain

__all__ = ["put_bundle"]

_ORIGIN = ".origin.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin(Plain):
    """Where a bundle's files come from: those that came with it (what is beside them, its runs have written), and those
    of them that were included, with the whole path of each."""

    files: tuple[str, ...] = ()
    included: Mapping[str, str] = field(default_factory=dict)


def put_bundle(path: Path, target: Path, include: Iterable[str], before: Path | None = None) -> list[str]:
    """The bundle of a notebook, or a copy of one, in ``target``; sentences for the person. From the bundle ``before``
    comes what its runs have written where they run, and what was included, as that is now. Raises UsageError."""
    former = _read_origin(before) if before else _Origin()
    if path.is_dir():
        included = dict(former.included)  # their copies stay; the next notebook brings them as they are then
        notes = _copy(path, target, include)
    else:
        gone = [each for each in former.included.values() if not Path(each).is_file()]
        included = {name: each for name, each in former.included.items() if each not in gone}
        included |= {_beside(Path(each), path): each for each in include}
        # Runs use this environment, so the lock would only cost time.
        made = make_bundle(path, {name: content_of(Path(each)) for name, each in included.items()}, lock=False)
        write_export(made, target)
        notes = [*made.notes, *(f"{each} is not there any more: its copy of before stays" for each in gone)]
    origin = _Origin(files=tuple(_names(target / "files")), included=included)
    (target / _ORIGIN).write_text(json.dumps(origin.to_dict()), encoding="utf-8")
    if before:
        _take_along(before / "files", target / "files", set(former.files) - set(former.included))
    return notes


def _copy(path: Path, target: Path, include: Iterable[str]) -> list[str]:
    if not is_bundle(path):
        raise UsageError(f"there is no bundle in {path}: cellyard export NOTEBOOK --to bundle --output DIR makes one.")
    if any(include):
        raise UsageError("files are included when a bundle is made: cellyard export ... --include FILE.")
    shutil.copytree(path, target, dirs_exist_ok=True)
    return []


def _take_along(source: Path, target: Path, left_out: set[str]) -> None:
    """What ``source`` has and ``target`` has not."""
    for name in _names(source):
        path = target / name
        if name in left_out or path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            shutil.copy2(source / name, path, follow_symlinks=False)
        except FileNotFoundError:  # a run that goes on has just taken it away
            continue


def _names(folder: Path) -> list[str]:
    found = (each for each in folder.rglob("*") if each.is_file() and "__pycache__" not in each.parts)
    return sorted(each.relative_to(folder).as_posix() for each in found)


def _read_origin(bundle: Path) -> _Origin:
    try:
        return _Origin.from_dict(json.loads((bundle / _ORIGIN).read_text(encoding="utf-8")))
    except FileNotFoundError:  # an earlier version has put it there: then all of it is kept
        return _Origin()


def _beside(file: Path, notebook: Path) -> str:
    try:
        return file.absolute().relative_to(notebook.parent).as_posix()
    except ValueError:
        return file.name
