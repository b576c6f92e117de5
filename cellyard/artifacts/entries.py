"""Entries: small things with a name in the store, each written once. Of several writers at once, one wins.

Objects are named by their content; an entry is how someone who does not know the content finds it.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from cellyard.artifacts.s3_failures import Failed, Kind
from cellyard.artifacts.store import LocalStore, Store
from cellyard.errors import StoreError

if TYPE_CHECKING:
    from cellyard.artifacts.s3_store import S3Store

__all__ = ["BucketEntries", "Entries", "FolderEntries", "entries_of"]


_LARGEST = 16 << 20


class Entries(Protocol):
    """Named entries of a store. A name is made of words, ``/``, ``-`` and ``.``."""

    def read(self, name: str) -> bytes | None:
        """The entry; None while nobody has written it."""

    def write_once(self, name: str, data: bytes) -> bool:
        """Write the entry; False, and nothing has happened, where it exists with another content."""


def entries_of(store: Store) -> Entries:
    """The entries that lie beside a store's objects."""
    if isinstance(store, LocalStore):
        return FolderEntries(Path(store.url) / "entries")
    from cellyard.artifacts.s3_store import S3Store

    if isinstance(store, S3Store):
        return BucketEntries(store)
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
            return self.read(name) == data
        finally:
            with contextlib.suppress(FileNotFoundError):
                temporary.unlink()
        return True


class BucketEntries:
    """Entries as objects of a bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    def read(self, name: str) -> bytes | None:
        line, found = self._store._lined(), bytearray()

        def keep(position: int, piece: bytes) -> None:
            found[position:] = piece  # a second try begins at 0 again

        try:
            line.connection.run(line.requests.get(self._key(name), 0, _LARGEST, keep))
        except Failed as error:
            if error.failure.kind is Kind.MISSING:
                return None
            raise self._store._of_failure(error, None, 0) from error
        return bytes(found)

    def write_once(self, name: str, data: bytes) -> bool:
        line = self._store._lined()
        try:
            line.connection.run(line.requests.put(self._key(name), data, {}, replace=False))
        except Failed as error:
            if error.failure.kind is Kind.EXISTS:  # perhaps by ourselves, and the answer was lost
                return self.read(name) == data
            raise self._store._of_failure(error, None, len(data)) from error
        return True

    def _key(self, name: str) -> str:
        return self._store._address.key(f"entries/{name}")
