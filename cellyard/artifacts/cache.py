"""The disk cache of a store elsewhere: its objects as files of this machine, the least recently used go first.

Any number of processes share it. A file appears whole, by a rename; it may be removed while others map it. Its time of
change is a stamp of ours, so whatever else writes to it, and a crash of the machine, is noticed: such a file is read
and compared with its hash before it is used. Its time of access says when it was last used.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from blake3 import blake3

__all__ = ["DiskCache", "Writing", "default_cache"]

DEFAULT_SIZE = 20 << 30
_BLOCK = 4096
_KEPT = 0.9
"""The part of the limit that is left after files were removed."""
_ABANDONED = 3600.0
"""Seconds after which a file that nobody finished may go."""
_TOUCH_AGAIN = 60.0
_STAMP_BASE = 1_000_000_000
_NO_SPACE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES}


def default_cache() -> str:
    """The cache's folder where none is given: this user's own, on this machine."""
    return str(Path(tempfile.gettempdir()) / f"cellyard-{os.getuid()}" / "cache")


class Writing:
    """A file on its way into the cache, of its full size from the beginning. ``keep`` or ``close`` it."""

    def __init__(self, cache: DiskCache, path: str, descriptor: int, size: int) -> None:
        self._cache = cache
        self.path = path
        self.descriptor = descriptor
        self.size = size

    def write(self, data: bytes | memoryview, position: int) -> None:
        """All of the bytes at that position. Raises OSError."""
        view = memoryview(data)
        while view.nbytes:
            done = os.pwrite(self.descriptor, view, position)
            view, position = view[done:], position + done

    def keep(self, id: str) -> str:
        """The file is in the cache under ``id``; returns its path."""
        return self._cache.commit(self, id)

    def close(self) -> None:
        """Done with it; what was not kept is gone, except for those who map it."""
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.path)  # noqa: PTH108


class DiskCache:
    """Objects in ``folder``, together at most ``size`` bytes (None: 20 GiB, or half of what is free)."""

    def __init__(self, folder: str, size: int | None = None) -> None:
        self._folder = folder
        self._size = size
        self._ready: set[str] = set()

    def path(self, id: str) -> str:
        """The file of an object, whether it is there or not."""
        return f"{self._folder}/objects/{id[:2]}/{id[2:]}"

    def find(self, id: str, size: int | None = None) -> str | None:
        """The file of an object if it is there whole and as it was written; the object counts as used now."""
        path = self.path(id)
        try:
            self._folder_of("objects")
            found = os.stat(path)  # noqa: PTH116
        except OSError:
            return None
        stamp = _stamp()
        sound = int(found.st_mtime) == stamp and (size is None or found.st_size == size)
        if not sound and not _has_content(path, id):
            with contextlib.suppress(OSError):
                os.unlink(path)  # noqa: PTH108
            return None
        now = time.time()
        if not sound or now - found.st_atime > _TOUCH_AGAIN:
            with contextlib.suppress(OSError):
                os.utime(path, (now, stamp))
        return path

    def read(self, id: str) -> bytes | None:
        """An object's content, compared with its hash; None when it is not here."""
        path = self.find(id)
        if path is None:
            return None
        try:
            data = Path(path).read_bytes()
        except OSError:
            return None
        if blake3(data).hexdigest() == id:
            return data
        self.remove(id)
        return None

    def write(self, id: str, data: bytes | memoryview) -> None:
        """Keep an object; nothing happens where it is kept already, and where there is no room."""
        if self.find(id, memoryview(data).nbytes) is not None:
            return
        with contextlib.suppress(OSError):
            writing = self.create(memoryview(data).nbytes)
            try:
                writing.write(data, 0)
                writing.keep(id)
            finally:
                writing.close()

    def remove(self, id: str) -> None:
        """The object is not in the cache after the call."""
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self.path(id))  # noqa: PTH108

    def create(self, size: int) -> Writing:
        """A new file of that size, its room taken. Raises OSError where there is none, after removing what may go."""
        try:
            return self._create(size)
        except OSError as error:
            if error.errno not in _NO_SPACE or not self._make_room(size, forced=True):
                raise
            return self._create(size)

    def _create(self, size: int) -> Writing:
        path = f"{self._folder_of('tmp')}/{uuid.uuid4().hex}"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        writing = Writing(self, path, descriptor, size)
        try:
            if size > _BLOCK:  # a mapping of a file without room would kill whoever writes to it
                _allocate(descriptor, size)
        except BaseException:
            writing.close()
            raise
        return writing

    def commit(self, writing: Writing, id: str) -> str:
        """Rename the file into its place, if it may stay there at all; see :meth:`Writing.keep`."""
        if writing.size > self.limit:
            return writing.path
        path = self.path(id)
        self._folder_of(f"objects/{id[:2]}")
        now = time.time()
        os.utime(writing.descriptor, (now, _stamp()))
        os.rename(writing.path, path)  # noqa: PTH104
        if self._count(_on_disk(writing.size)) > self.limit:
            self._make_room(0, forced=False)
        return path

    @property
    def limit(self) -> int:
        """The most bytes that are kept."""
        if self._size is None:
            self._folder_of("objects")
            free = shutil.disk_usage(self._folder).free
            self._size = min(DEFAULT_SIZE, (free + self._count(0)) // 2)
        return self._size

    def _count(self, change: int) -> int:
        """Add to the sum of all files that the processes keep together; returns it."""
        with self._locked() as lock:
            total = _read_sum(lock) + change
            if change:
                _write_sum(lock, total)
        return total

    @contextlib.contextmanager
    def _locked(self) -> Iterator[int]:
        self._folder_of("objects")
        lock = os.open(f"{self._folder}/used", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield lock
        finally:
            os.close(lock)

    def _make_room(self, needed: int, *, forced: bool) -> int:
        """Remove what was not used for longest, and what nobody finished; returns the bytes that came free.

        ``forced``: room for ``needed`` bytes is wanted although the limit would allow them.
        """
        limit = self.limit
        with self._locked() as lock:
            files = sorted(_files(Path(self._folder) / "objects"))
            total = sum(size for _, size, _ in files)
            target = min(int(limit * _KEPT), total - needed if forced else total)
            freed = self._remove_abandoned()
            for _, size, path in files:
                if total <= target:
                    break
                with contextlib.suppress(OSError):
                    os.unlink(path)  # noqa: PTH108
                    total, freed = total - size, freed + size
            _write_sum(lock, total)
        return freed

    def _remove_abandoned(self) -> int:
        freed = 0
        for _, size, path in _files(Path(self._folder) / "tmp", depth=0):
            with contextlib.suppress(OSError):
                if time.time() - os.stat(path).st_mtime > _ABANDONED:  # noqa: PTH116
                    os.unlink(path)  # noqa: PTH108
                    freed += size
        return freed

    def _folder_of(self, name: str) -> str:
        folder = f"{self._folder}/{name}"
        if name not in self._ready:
            os.makedirs(folder, mode=0o700, exist_ok=True)  # noqa: PTH103
            if os.stat(folder).st_uid != os.geteuid():  # noqa: PTH116
                raise PermissionError(errno.EACCES, "another user's folder is no cache of ours", folder)
            self._ready.add(name)
        return folder


def _files(folder: Path, depth: int = 1) -> Iterator[tuple[float, int, str]]:
    """(time of last use, bytes on disk, path) of every file."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if depth and entry.is_dir():
                yield from _files(Path(entry.path), depth - 1)
            else:
                with contextlib.suppress(OSError):
                    found = entry.stat()
                    yield found.st_atime, _on_disk(found.st_size), entry.path


def _on_disk(size: int) -> int:
    return -(-size // _BLOCK) * _BLOCK or _BLOCK


def _allocate(descriptor: int, size: int) -> None:
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(descriptor, 0, size)
    else:
        os.ftruncate(descriptor, size)


def _read_sum(lock: int) -> int:
    text = os.pread(lock, 32, 0).strip(b"\0 ")
    return int(text) if text.isdigit() else 0


def _write_sum(lock: int, total: int) -> None:
    os.pwrite(lock, b"%032d" % max(0, total), 0)


def _has_content(path: str, id: str) -> bool:
    hasher = blake3(max_threads=blake3.AUTO)
    try:
        hasher.update_mmap(path)
    except OSError:
        return False
    return hasher.hexdigest() == id


_stamps: dict[str, int] = {}


def _stamp() -> int:
    """The time of change of files that are known to be sound: another one after each start of the machine."""
    if "stamp" not in _stamps:
        try:
            boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
        except OSError:
            boot = b""
        _stamps["stamp"] = _STAMP_BASE + int.from_bytes(blake3(boot).digest()[:3], "big") * 2
    return _stamps["stamp"]
