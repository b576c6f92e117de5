"""A store in a bucket of S3, or of a server that speaks like it, with a disk cache on this machine.

Objects are kept under ``objects/ab/cdef…`` as in a folder, raw or compressed. What was written or read is in the cache,
too, from where buffers are mapped. Neither s3fs nor a connection is needed before the first request.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import time
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import Future
from typing import Any

from blake3 import blake3

from cellyard.artifacts.cache import DiskCache, default_cache
from cellyard.artifacts.fetched import Fetched
from cellyard.artifacts.mapping import Origin, map_private, unchanged_blob
from cellyard.artifacts.s3_connection import Connection, connection
from cellyard.artifacts.s3_failures import Failed, Kind
from cellyard.artifacts.s3_requests import Requests
from cellyard.artifacts.s3_transfer import Damaged, Target, Transfer
from cellyard.artifacts.store import StoredObject
from cellyard.errors import ArtifactCorrupt, ArtifactMissing, CellyardError, StoreFull, StoreRefused, StoreUnreachable
from cellyard.model.store_address import BucketAddress

__all__ = ["S3Store"]

Buffer = bytes | bytearray | memoryview

#: Objects up to this size are remembered, so that whoever wrote or read one need not ask for it again.
SMALL_BYTES = 64 << 10
_MOST_REMEMBERED = 16 << 20
#: The most bytes that are handed on with one request or answer.
_HANDED_ON = 256 << 10
#: Seconds for which an object that was seen in the store is taken to be there.
_KNOWN_FOR = 600.0
_MANY_THREADS_BYTES = 4 << 20
_CHECKED_AT_ONCE = 8
_REMOVED_AT_ONCE = 32
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})$")


class S3Store:
    """See :class:`~cellyard.artifacts.store.Store`; further raises StoreUnreachable and StoreRefused.

    ``patience``: seconds for which a server that does not answer is waited for, also at the first request.
    """

    def __init__(self, address: BucketAddress, *, patience: float | None = None) -> None:
        self._address = address
        self._patience = patience
        self._cache = DiskCache(address.cache or default_cache(), address.cache_size)
        self._small: dict[str, bytes] = {}
        self._small_size = 0
        self._known: dict[str, float] = {}
        self._held: dict[str, Fetched] = {}
        self._line: _Line | None = None

    @property
    def url(self) -> str:
        return self._address.url

    @property
    def is_far(self) -> bool:
        """True: each request travels."""
        return True

    def open(self) -> None:
        """Connect as the environment says now; nothing where that has been done. Contacts nobody."""
        line = self._lined()
        with self._translated(None):
            line.connection.run(line.requests.persist(line.connection.open))

    def rehearse(self) -> None:
        """Connect, and send a first request, of which nothing is expected but that the second one is faster."""
        self.open()
        line = self._lined()
        line.connection.submit(line.requests.greet(self._address.key("objects/")))

    # -- writing

    def put(self, data: Buffer) -> str:
        with self.writing() as batch:
            return batch.put(data)

    @contextlib.contextmanager
    def writing(self) -> Iterator[_Batch]:
        """Puts inside return at once; all their objects can be read when the block has ended without an error.

        Until then, the buffers must stay as they are.
        """
        batch = _Batch(self)
        try:
            yield batch
            batch.wait()
        finally:
            batch.cancel()

    async def _put(self, id: str, view: memoryview) -> None:
        line = self._lined()
        if view.nbytes <= SMALL_BYTES:
            sending = asyncio.ensure_future(line.transfer.send(id, view))
            await asyncio.sleep(0)
            self._cache.write(id, view)  # while it travels
            await sending
            self.accept({id: bytes(view)})
        else:
            caching = line.connection.in_thread(self._cache.write, id, view)
            await asyncio.gather(line.transfer.send(id, view), caching)
        self._note(id)

    def _note(self, id: str) -> None:
        if len(self._known) > 100_000:
            self._known = {}
        self._known[id] = time.monotonic()

    def _is_known(self, id: str) -> bool:
        return time.monotonic() - self._known.get(id, -_KNOWN_FOR) < _KNOWN_FOR

    # -- reading

    def read(self, id: str) -> bytes:
        small = self._small.get(id)
        if small is not None and blake3(small).hexdigest() == id:
            return small
        found = self._cache.read(id)
        if found is None:
            fetched = self._obtain(id)
            try:
                found = fetched.bytes()
            finally:
                fetched.close()
        if len(found) <= SMALL_BYTES:
            self.accept({id: found})
        return found

    def map(self, id: str, size: int) -> memoryview:
        origin = Origin(self.url, id)
        while True:
            path = self._cache.find(id, size)
            fetched = self._obtain(id) if path is None else None
            try:
                path = path or self._cache.find(id, size)
                if fetched is None or path is not None:
                    return map_private(path or "", origin, size)
                return fetched.mapped(origin, size)
            except FileNotFoundError:  # removed between being found and being mapped
                continue
            except ValueError as error:
                raise self._corrupt(id, str(error)) from error
            finally:
                if fetched is not None:
                    fetched.close()

    def prefetch(self, wanted: Iterable[tuple[str, int | None]]) -> None:
        """Have objects ready to be read or mapped, fetching what is missing at once. What cannot be had raises when
        it is used."""
        missing = [id for id, size in dict(wanted).items() if id not in self._small and not self._cache.find(id, size)]
        if len(missing) < 2:  # one is fetched as well when it is used
            return
        line = self._lined()

        async def fetch() -> list[Any]:
            return await asyncio.gather(*(line.fetch(self, id) for id in missing), return_exceptions=True)

        for id, found in zip(missing, line.connection.run(fetch()), strict=True):
            if isinstance(found, Fetched):
                self._held[id] = found

    def _obtain(self, id: str) -> Fetched:
        held = self._held.pop(id, None)
        if held is not None:
            return held
        line = self._lined()
        with self._translated(id):
            return line.connection.run(line.fetch(self, id))

    async def _fetch(self, transfer: Transfer, id: str) -> Fetched:
        """The object, in the cache too if there is room."""
        made: list[Fetched] = []

        def target(size: int) -> Target:
            for each in made:  # of a try that brought damaged content
                each.close()
            made[:] = [Fetched.of_size(self._cache, size)]
            return made[0]

        try:
            found = await transfer.fetch(id, target)
        except BaseException:
            for each in made:
                each.close()
            raise
        self._note(id)
        if isinstance(found, bytes):
            if len(found) <= SMALL_BYTES:
                self.accept({id: found})
            await self._lined().connection.in_thread(self._cache.write, id, found)
            return Fetched(len(found), data=memoryview(bytearray(found)))
        made[0].keep(id)
        return made[0]

    # -- handing on

    def recent(self, ids: Iterable[str]) -> dict[str, bytes]:
        """Those of the objects that are small and were just written or read here: a reader who gets them beside their
        ids need not fetch them."""
        found: dict[str, bytes] = {}
        room = _HANDED_ON
        for id in ids:
            data = self._small.get(id)
            if data is not None and len(data) <= room:
                found[id] = data
                room -= len(data)
        return found

    def accept(self, objects: Mapping[str, bytes]) -> None:
        """Remember small objects. They are compared with their ids when they are read."""
        for id, data in objects.items():
            if self._small_size > _MOST_REMEMBERED:
                self._small, self._small_size = {}, 0
            if id not in self._small:
                self._small[id] = data
                self._small_size += len(data)

    # -- looking after it

    def verify(self) -> Iterator[tuple[str, CellyardError | None]]:
        line = self._lined()
        for page in self._pages():
            for start in range(0, len(page), _CHECKED_AT_ONCE):
                yield from self._check(line, [each.id for each in page[start : start + _CHECKED_AT_ONCE]])

    def objects(self) -> Iterator[StoredObject]:
        for page in self._pages():
            yield from page

    def _pages(self) -> Iterator[list[StoredObject]]:
        line = self._lined()
        after: str | None = None
        while True:
            with self._translated(None):
                found, after = line.connection.run(line.requests.page(self._address.key("objects/"), after))
            keys = [(_OBJECT.search(each.key), each) for each in found]
            yield [StoredObject(match[1] + match[2], each.size, each.changed) for match, each in keys if match]
            if after is None:
                return

    def remove(self, ids: Iterable[str]) -> None:
        line = self._lined()
        pending = list(ids)

        async def delete(some: list[str]) -> None:
            await asyncio.gather(*(line.requests.delete(self._address.key(_name(id))) for id in some))

        for start in range(0, len(pending), _REMOVED_AT_ONCE):
            some = pending[start : start + _REMOVED_AT_ONCE]
            for id in some:
                self._known.pop(id, None)
                self._cache.remove(id)
            with self._translated(None):
                line.connection.run(delete(some))

    def _check(self, line: _Line, ids: list[str]) -> Iterator[tuple[str, CellyardError | None]]:
        async def check() -> list[BaseException | None]:
            return await asyncio.gather(*(line.transfer.check(id) for id in ids), return_exceptions=True)

        for id, found in zip(ids, line.connection.run(check()), strict=True):
            try:
                with self._translated(id):
                    if found is not None:
                        raise found
            except (ArtifactCorrupt, ArtifactMissing) as error:
                yield id, error
            else:
                yield id, None

    def sweep(self, older_than: float) -> int:
        """Remove the parts of uploads that nobody has ended for so many seconds; returns how many uploads."""
        line = self._lined()
        with self._translated(None):
            begun = line.connection.run(line.requests.uploads(self._address.key("objects/")))
            old = [(key, upload) for key, upload, when in begun if time.time() - when > older_than]
            for key, upload in old:
                line.connection.run(line.requests.abort(key, upload))
        return len(old)

    # -- errors

    def _corrupt(self, id: str, reason: str) -> ArtifactCorrupt:
        return ArtifactCorrupt(id=id, path=f"{self.url}/{_name(id)}", reason=reason)

    @contextlib.contextmanager
    def _translated(self, id: str | None, needed: int = 0) -> Iterator[None]:
        try:
            yield
        except Damaged as error:
            raise self._corrupt(id or "", str(error)) from error
        except Failed as error:
            raise self._of_failure(error, id, needed) from error

    def _of_failure(self, error: Failed, id: str | None, needed: int) -> CellyardError:
        failure = error.failure
        if failure.kind is Kind.MISSING and id is not None:
            return ArtifactMissing(id=id, store=self.url)
        if failure.kind is Kind.FULL:
            return StoreFull(path=self.url, needed=f"{needed:,} bytes")
        where = {"store": self.url, "endpoint": self._lined().connection.endpoint}
        if failure.kind is Kind.TRANSIENT:
            waited = f"{error.waited:.0f} s"
            return StoreUnreachable(**where, reason=failure.reason, waited=waited, hint=failure.hint)
        return StoreRefused(**where, reason=failure.reason, hint=failure.hint)

    def _lined(self) -> _Line:
        """What belongs to this process's connection; anew after a fork."""
        current = connection()
        if self._line is None or self._line.connection is not current:
            self._held = {}
            self._line = _Line(current, self._address, self._patience)
        return self._line


class _Line:
    """The store's requests on one connection, and the objects that are on their way."""

    def __init__(self, current: Connection, address: BucketAddress, patience: float | None) -> None:
        self.connection = current
        self.requests = Requests(current, address.bucket, patience=patience)
        self.transfer = Transfer(current, self.requests, lambda id: address.key(_name(id)))
        self._coming: dict[str, asyncio.Task[Fetched]] = {}

    async def fetch(self, store: S3Store, id: str) -> Fetched:
        """The object; one request for all who want it at the same time."""
        task = self._coming.get(id)
        if task is None:
            task = self._coming[id] = asyncio.create_task(store._fetch(self.transfer, id))
            task.add_done_callback(lambda _: self._coming.pop(id, None))
        return await asyncio.shield(task)


class _Batch:
    """Writes on their way; the store itself for everything else that :class:`DefinitionStore` asks of one."""

    def __init__(self, store: S3Store) -> None:
        self._store = store
        self._coming: dict[str, tuple[Future[None], int]] = {}

    @property
    def url(self) -> str:
        return self._store.url

    def put(self, data: Buffer) -> str:
        view = memoryview(data).cast("B") if not isinstance(data, bytes) else memoryview(data)
        id = unchanged_blob(view, self.url) or _hash(view)
        if id not in self._coming and not self._store._is_known(id):
            kept = memoryview(bytes(view)) if view.nbytes <= SMALL_BYTES else view
            line = self._store._lined()
            self._coming[id] = line.connection.submit(self._store._put(id, kept)), view.nbytes
        return id

    def wait(self) -> None:
        """Return when all is written. Raises what kept the first from it."""
        for id, (future, size) in self._coming.items():
            with self._store._translated(id, size):
                future.result()

    def cancel(self) -> None:
        """Give up what is not written yet."""
        for future, _ in self._coming.values():
            future.cancel()


def _name(id: str) -> str:
    return f"objects/{id[:2]}/{id[2:]}"


def _hash(view: memoryview) -> str:
    threads = blake3.AUTO if view.nbytes >= _MANY_THREADS_BYTES else 1
    return str(blake3(view, max_threads=threads).hexdigest())
