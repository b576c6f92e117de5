"""Entries: small things with a name in the store, each written once. Of several writers at once, one wins.

Objects are named by their content; an entry is how someone who does not know the content finds it.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import Protocol

from cellyard.artifacts.store import LocalStore, Store
from cellyard.errors import StoreError

__all__ = ["Entries", "FolderEntries", "entries_of"]


class Entries(Protocol):
    """Named entries of a store. A name is made of words, ``/``, ``-`` and ``.``."""

    def read(self, name: str) -> bytes | None:
        """The entry; None while nobody has written it."""

    def write_once(self, name: str, data: bytes) -> bool:
        """Write the entry; False, and nothing has happened, where it exists already."""


def entries_of(store: Store) -> Entries:
    """The entries that lie beside a store's objects."""
    if isinstance(store, LocalStore):
        return FolderEntries(Path(store.url) / "entries")
    raise StoreError(f"the store {store.url} has no named entries.")


class FolderEntries:
    """Entries as files of a folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def read(self, name: str) -> bytes | None:
        try:
            return (self._folder / name).read_bytes()
        except FileNotFoundError:
            return None

    def write_once(self, name: str, data: bytes) -> bool:
        path = self._folder / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
        temporary.write_bytes(data)
        try:
            os.link(temporary, path)  # unlike a rename, fails where the name is taken
        except FileExistsError:
            return False
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        return True
