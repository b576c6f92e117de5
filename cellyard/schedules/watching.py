"""Watching: files, folders and patterns whose change starts a run, told by a fingerprint. Reads no file's content."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from cellyard.errors import UsageError

__all__ = ["Watched", "fingerprint", "parse_watched"]

_ARTIFACT = "artifact:"
_MOST_FILES = 20_000
_ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Watched:
    """What is watched: a ``path`` (a file, a folder with all in it, or a pattern), or the value ``name`` that the
    notebook ``notebook`` makes."""

    text: str
    path: str = ""
    notebook: str = ""
    name: str = ""


def parse_watched(text: str) -> Watched:
    """``artifact:NOTEBOOK:NAME``, or a path. Raises UsageError."""
    if text.startswith(_ARTIFACT):
        notebook, _, name = text.removeprefix(_ARTIFACT).rpartition(":")
        if not notebook or not name.isidentifier():
            raise UsageError(f"{text!r}: write artifact:NOTEBOOK:NAME, as in artifact:orders.ipynb:sales.")
        return Watched(text, notebook=notebook, name=name)
    if "://" in text:
        raise UsageError(f"{text!r}: only files of this machine can be watched, and values: artifact:NOTEBOOK:NAME.")
    if not text:
        raise UsageError("a path is needed, or artifact:NOTEBOOK:NAME.")
    return Watched(text, path=str(Path(text).expanduser().absolute()))


def fingerprint(path: str) -> str:
    """Changes with every file that comes, goes or is written to. Of more than 20,000 files the first are looked at."""
    found = sorted(_stamps(path))
    if not found:
        return _ABSENT
    return hashlib.sha256(repr(found[:_MOST_FILES]).encode()).hexdigest()[:32]


def _stamps(path: str) -> Iterator[tuple[str, int, int, int]]:
    place = Path(path)
    if any(sign in path for sign in "*?["):
        anchor = Path(place.anchor or ".")
        for each in anchor.glob(str(place.relative_to(anchor))):
            yield from _stamp(each)
        return
    if not place.is_dir():
        yield from _stamp(place)
        return
    for folder, _, names in os.walk(place):
        for name in names:
            yield from _stamp(Path(folder) / name)


def _stamp(path: Path) -> Iterator[tuple[str, int, int, int]]:
    try:
        status = path.stat()
    except OSError:  # gone meanwhile, or a link to nowhere
        return
    if not path.is_dir():
        yield str(path), status.st_mtime_ns, status.st_size, status.st_ino
