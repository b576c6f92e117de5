"""Where objects are kept: immutable bytes under the hash of their content.

An object is complete or absent. It is written under a temporary name and renamed, so readers never see half of
one, any number of processes may write the same object at once, and a crash leaves at most a temporary file.
"""

from __future__ import annotations

import contextlib
import errno
import os
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypeVar

from blake3 import blake3

from cellyard.artifacts.mapping import BlobMap, map_private, unchanged_blob
from cellyard.errors import ArtifactCorrupt, ArtifactMissing, CellyardError, StoreFull
from cellyard.model.store_address import is_bucket, parse_bucket

__all__ = ["OBJECTS", "LocalStore", "Store", "StoredObject", "Writer", "open_store", "prepare_fork"]

Buffer = bytes | bytearray | memoryview
_T = TypeVar("_T")

#: The key under which a request, and its answer, hand on small objects together with their ids.
OBJECTS = "objects"
#: Below this size an object is hashed first and written only when it is new; above it, both happen at once.
OVERLAP_BYTES = 4 << 20
_CHUNK = 8 << 20
_OTHER_CONTENT = "its content does not have the hash that names it"
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_FOLDERS = 256
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object: its bytes in the store, and when it was last put there (seconds since 1970)."""

    id: str
    size: int
    changed: float


class Writer(Protocol):
    """Where objects are put: a store, or one batch of writes to it."""

    @property
    def url(self) -> str: ...

    def put(self, data: Buffer) -> str: ...


class Store(Writer, Protocol):
    """Content-addressed objects.

    ``put`` returns the object's id (blake3, 64 hex digits) once it can be read by every process; it raises
    :class:`~cellyard.errors.StoreFull` and leaves nothing behind when there is no room. ``read`` returns all bytes
    of an object, checked against its id; ``map`` returns a private writable view of it, of which only the size is
    checked, because a check would read it all. Both raise :class:`~cellyard.errors.ArtifactMissing` and
    :class:`~cellyard.errors.ArtifactCorrupt`. ``verify`` names every object whose content is not its hash.

    What makes round trips fewer, where there are any (``is_far``): inside ``with writing() as batch``, ``batch.put``
    may return before the object is written, and its buffer must stay as it is; all are written when the block has ended
    without an error. ``prefetch`` has objects (id, size if known) ready to be read or mapped. ``recent`` are the small
    ones among objects that were just written or read here, and ``accept`` takes what another process had as its recent
    ones. ``open`` connects with what the environment says now, and ``rehearse`` moreover does, ahead of need, what only
    a first request has to do; the server may be down.

    ``sweep`` removes what writers that died left unfinished for so many seconds, and returns how much that was.
    ``objects`` are all that there are; one that is put again counts as changed then. ``remove`` takes some away.
    """

    @property
    def is_far(self) -> bool: ...

    def open(self) -> None: ...

    def rehearse(self) -> None: ...

    def writing(self) -> AbstractContextManager[Writer]: ...

    def read(self, id: str) -> bytes: ...

    def map(self, id: str, size: int) -> memoryview: ...

    def prefetch(self, wanted: Iterable[tuple[str, int | None]]) -> None: ...

    def recent(self, ids: Iterable[str]) -> dict[str, bytes]: ...

    def accept(self, objects: Mapping[str, bytes]) -> None: ...

    def verify(self) -> Iterator[tuple[str, CellyardError | None]]: ...

    def sweep(self, older_than: float) -> int: ...

    def objects(self) -> Iterator[StoredObject]: ...

    def remove(self, ids: Iterable[str]) -> None: ...


def open_store(url: str, *, patience: float | None = None) -> Store:
    """The store at ``url``: a folder of this machine, or an address in a bucket (see ``model.store_address``).

    Nothing is contacted. ``patience``: seconds for which a server that does not answer is waited for; None: long, but
    not at its first request, which may have a wrong address.
    """
    if not is_bucket(url):
        return LocalStore(Path(url))
    from cellyard.artifacts.s3_store import S3Store

    return S3Store(parse_bucket(url), patience=patience)


def prepare_fork(url: str) -> None:
    """Have everything imported that a forked child needs of the store, without a thread or a connection."""
    if is_bucket(url):
        from cellyard.artifacts import s3_connection, s3_store  # noqa: F401

        s3_connection.prepare_fork()


class _NeedlessError(Exception):
    """What is being written is there already."""


class LocalStore:
    """A store in a folder: ``objects/ab/cdef…`` and ``tmp/``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._root = str(folder)

    @property
    def url(self) -> str:
        return self._root

    @property
    def is_far(self) -> bool:
        """False: no request has to travel."""
        return False

    def open(self) -> None:
        """Nothing: a folder is always open."""

    def rehearse(self) -> None:
        """Have the folders there, and the way of a small object gone: a process's first file takes longest."""
        self._folder_of("tmp")
        objects = self._folder_of("objects")
        if len(os.listdir(objects)) < _FOLDERS:  # noqa: PTH208
            for number in range(_FOLDERS):
                self._folder_of(f"objects/{number:02x}")
        content = memoryview(b"a rehearsal")
        _has(self.path(blake3(content).hexdigest()), content.nbytes)
        os.unlink(self._write(content))  # noqa: PTH108

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """The store itself: each object is written when its put returns."""
        yield self

    def prefetch(self, wanted: Iterable[tuple[str, int | None]]) -> None:
        """Nothing: all objects are here."""

    def recent(self, ids: Iterable[str]) -> dict[str, bytes]:
        """None: whoever reads them finds the files."""
        return {}

    def accept(self, objects: Mapping[str, bytes]) -> None:
        """Nothing is kept: the files are here."""

    def path(self, id: str) -> str:
        """The file of an object, whether it exists or not."""
        return f"{self._root}/objects/{id[:2]}/{id[2:]}"

    def put(self, data: Buffer) -> str:
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        if view.nbytes >= OVERLAP_BYTES:
            return self._already_mapped(view) or self._put_overlapped(view)
        id = blake3(view).hexdigest()
        path = self.path(id)
        if _has(path, view.nbytes):
            _renew(path)
        else:
            self._commit(self._write(view), path)
        return id

    def _already_mapped(self, view: memoryview) -> str | None:
        """The id of the object that ``view`` is an unchanged mapping of, if the store still has it."""
        id = unchanged_blob(view, self._root)
        return id if id is not None and _has(self.path(id), view.nbytes) else None

    def _put_overlapped(self, view: memoryview) -> str:
        """Hash and write at once; the writing ends early when the hash turns out to be that of an object here."""
        hasher = blake3(max_threads=blake3.AUTO)
        hashing = threading.Thread(target=hasher.update, args=(view,))
        hashing.start()

        def is_here() -> bool:
            return not hashing.is_alive() and _has(self.path(hasher.hexdigest()), view.nbytes)

        temporary = None
        try:
            with contextlib.suppress(_NeedlessError):
                temporary = self._write(view, is_needless=is_here)
        finally:
            hashing.join()
        id: str = hasher.hexdigest()
        if temporary is None:
            _renew(self.path(id))
        elif is_here():  # not renamed over it: a file system may then put both on its disk while we wait
            _renew(self.path(id))
            os.unlink(temporary)  # noqa: PTH108
        else:
            self._commit(temporary, self.path(id))
        return id

    def _write(self, view: memoryview, is_needless: Callable[[], bool] = lambda: False) -> str:
        """The temporary file with these bytes; _NeedlessError, and no file, once the object is known to be there."""
        temporary = f"{self._root}/tmp/{uuid.uuid4().hex}"
        descriptor = self._within("tmp", lambda: os.open(temporary, _NEW_FILE, 0o600), view.nbytes)
        try:
            _write_all(descriptor, view, is_needless)
        except OSError as error:
            os.unlink(temporary)  # noqa: PTH108
            raise self._translate(error, view.nbytes) from error
        except BaseException:
            os.unlink(temporary)  # noqa: PTH108
            raise
        finally:
            os.close(descriptor)
        return temporary

    def _commit(self, temporary: str, path: str) -> None:
        try:
            folder = path[len(self._root) + 1 : path.rindex("/")]
            self._within(folder, lambda: os.rename(temporary, path))  # noqa: PTH104
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)  # noqa: PTH108
            raise

    def _within(self, folder: str, act: Callable[[], _T], needed: int = 0) -> _T:
        """Do something in a folder of the store, which is made where it is missing."""
        try:
            try:
                return act()
            except FileNotFoundError:
                self._folder_of(folder)
                return act()
        except OSError as error:
            raise self._translate(error, needed) from error

    def _folder_of(self, name: str) -> str:
        folder = f"{self._root}/{name}"
        try:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
        except OSError as error:
            raise self._translate(error, 0) from error
        return folder

    def _translate(self, error: OSError, needed: int) -> Exception:
        if error.errno in _NO_SPACE:
            return StoreFull(path=self._root, needed=f"{needed:,} bytes")
        return error

    def read(self, id: str) -> bytes:
        try:
            with open(self.path(id), "rb", buffering=0) as file:  # noqa: PTH123
                data = file.read()
        except FileNotFoundError as error:
            raise ArtifactMissing(id=id, store=self._root) from error
        if blake3(data).hexdigest() != id:
            raise ArtifactCorrupt(id=id, path=self.path(id), reason=_OTHER_CONTENT)
        return data

    def map(self, id: str, size: int) -> memoryview:
        path = self.path(id)
        try:
            found = map_private(path, BlobMap.origin_of(self._root, id), size)
        except FileNotFoundError as error:
            raise ArtifactMissing(id=id, store=self._root) from error
        except ValueError as error:
            raise ArtifactCorrupt(id=id, path=path, reason=str(error)) from error
        return found

    def objects(self) -> Iterator[StoredObject]:
        for file in (self._folder / "objects").glob("??/*"):
            with contextlib.suppress(FileNotFoundError):  # somebody else removes, too
                found = file.stat()
                yield StoredObject(file.parent.name + file.name, found.st_size, found.st_mtime)

    def remove(self, ids: Iterable[str]) -> None:
        for id in ids:
            Path(self.path(id)).unlink(missing_ok=True)

    def verify(self) -> Iterator[tuple[str, CellyardError | None]]:
        """Every object's id, with an error where its content is not what its name says."""
        for file in sorted((self._folder / "objects").glob("??/*")):
            id = file.parent.name + file.name
            hasher = blake3(max_threads=blake3.AUTO)
            hasher.update_mmap(file)
            damaged = hasher.hexdigest() != id
            yield id, ArtifactCorrupt(id=id, path=str(file), reason=_OTHER_CONTENT) if damaged else None

    def sweep(self, older_than: float) -> int:
        """Remove temporary files that were not written to for so many seconds; returns how many."""
        removed = 0
        for file in (self._folder / "tmp").glob("*"):
            with contextlib.suppress(FileNotFoundError):
                if time.time() - file.stat().st_mtime > older_than:
                    file.unlink()
                    removed += 1
        return removed


def _has(path: str, size: int) -> bool:
    """True when the file is there whole: a crash of the machine can leave one without its end."""
    try:
        return os.stat(path).st_size == size  # noqa: PTH116 - the hot path of every small value
    except OSError:
        return False


def _renew(path: str) -> None:
    """Have an object count as put just now: it is as good as new to whoever asks what has not been used for long."""
    with contextlib.suppress(OSError):
        os.utime(path)


def _write_all(descriptor: int, view: memoryview, is_needless: Callable[[], bool]) -> None:
    position = 0
    while position < view.nbytes:
        if is_needless():
            raise _NeedlessError
        position += os.write(descriptor, view[position : position + _CHUNK])
