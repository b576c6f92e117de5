"""Where a store is, as one who could do anything to it sees it: for the tests of what every store promises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path

from tests.buckets import Bucket

__all__ = ["Folder", "InBucket", "Place"]


class Place(ABC):
    """Where a store is, as one who could do anything to it sees it."""

    @property
    @abstractmethod
    def address(self) -> str:
        """What ``open_store`` is given on one machine."""

    @property
    @abstractmethod
    def elsewhere(self) -> str:
        """The same store's address on another machine."""

    @abstractmethod
    def objects(self) -> list[str]:
        """The ids of all objects."""

    @abstractmethod
    def damage(self, id: str) -> None:
        """Flip a bit in the middle of an object's bytes."""

    @abstractmethod
    def remove(self, id: str) -> None:
        """The object is gone."""

    @abstractmethod
    def leavings(self) -> int:
        """How many writes were begun and not ended."""


class Folder(Place):
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @property
    def address(self) -> str:
        return str(self._folder)

    elsewhere = address

    def _path(self, id: str) -> Path:
        return self._folder / "objects" / id[:2] / id[2:]

    def objects(self) -> list[str]:
        return sorted(file.parent.name + file.name for file in (self._folder / "objects").glob("*/*"))

    def damage(self, id: str) -> None:
        self._path(id).write_bytes(flipped(self._path(id).read_bytes()))

    def remove(self, id: str) -> None:
        self._path(id).unlink()

    def leavings(self) -> int:
        return len(list((self._folder / "tmp").glob("*")))


class InBucket(Place):
    def __init__(self, bucket: Bucket, folder: Path) -> None:
        self.bucket = bucket
        self._folder = folder

    @property
    def address(self) -> str:
        return f"{self.bucket.url}?cache={self._folder}/here"

    @property
    def elsewhere(self) -> str:
        return f"{self.bucket.url}?cache={self._folder}/there"

    def _key(self, id: str) -> str:
        return f"some/where/objects/{id[:2]}/{id[2:]}"

    def objects(self) -> list[str]:
        return sorted("".join(key.split("/")[-2:]) for key in self.bucket.listed())

    def damage(self, id: str) -> None:
        self.bucket.replace(self._key(id), flipped(self.bucket.content(self._key(id))))

    def remove(self, id: str) -> None:
        self.bucket.call("delete_object", Key=self._key(id))

    def leavings(self) -> int:
        return len(self.bucket.uploads())


def flipped(data: bytes) -> bytes:
    changed = bytearray(data)
    changed[len(changed) // 2] ^= 1
    return bytes(changed)
