"""Origin: who starts a run, and from which commit. Reads a few small files; runs git only where it is asked to."""

from __future__ import annotations

import getpass
import subprocess
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

__all__ = ["Origin", "origin_of"]

_HASH = frozenset("0123456789abcdef")
_DEADLINE = 5.0


@dataclass(frozen=True, slots=True)
class Origin:
    """``owner`` is a user's name; ``commit`` what is checked out where the notebook is (None: no repository), and
    ``changed`` whether the notebook's file differs from it (None: not asked, or not known)."""

    owner: str | None = None
    commit: str | None = None
    changed: bool | None = None

    def to_dict(self) -> dict[str, Any]:
        """The origin as JSON."""
        return {"owner": self.owner, "commit": self.commit, "changed": self.changed}


def origin_of(notebook: str | Path, *, compare: bool = False) -> Origin:
    """The origin of what is started now from that file; with ``compare`` git is asked whether the file was changed."""
    path = Path(notebook)
    folder = _git_folder(path.parent) if path.is_absolute() else None
    commit = None if folder is None else _head(folder)
    changed = _is_changed(path) if compare and commit is not None else None
    return Origin(_owner(), commit, changed)


@cache
def _owner() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError):  # a user id without a name, as containers have
        return None


def _git_folder(folder: Path) -> Path | None:
    known = _found.get(folder)
    if known is None or not known.is_dir():
        known = _found[folder] = _look_for_git(folder)
    return known


_found: dict[Path, Path | None] = {}
"""Where a folder's repository was found; looked for again where there was none."""


def _look_for_git(folder: Path) -> Path | None:
    for each in (folder, *folder.parents):
        found = each / ".git"
        if found.is_dir():
            return found
        if found.is_file():  # a worktree or submodule: one line that says where
            text = _read(found)
            return (each / text.removeprefix("gitdir:").strip()) if text.startswith("gitdir:") else None
    return None


def _head(folder: Path) -> str | None:
    text = _read(folder / "HEAD").strip()
    if not text.startswith("ref:"):
        return _checked(text)
    name = text.removeprefix("ref:").strip()
    common = _read(folder / "commondir").strip()
    for place in (folder, folder / common if common else folder):
        found = _checked(_read(place / name).strip()) or _packed(_read(place / "packed-refs"), name)
        if found is not None:
            return found
    return None


def _packed(text: str, name: str) -> str | None:
    lines = (line.split(" ", 1) for line in text.splitlines() if line[:1] not in ("#", "^"))
    return next((_checked(parts[0]) for parts in lines if parts[1:] == [name]), None)


def _checked(text: str) -> str | None:
    return text if len(text) in (40, 64) and _HASH.issuperset(text) else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _is_changed(path: Path) -> bool | None:
    """A file that git does not know yet counts as changed."""
    command = ["git", "status", "--porcelain", "--ignored", "--", path.name]
    try:
        done = subprocess.run(command, cwd=path.parent, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return bool(done.stdout.strip()) if done.returncode == 0 else None
