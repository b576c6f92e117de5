"""Whole objects to S3 and back: in one request or in parts, several at once, compressed where that pays.

How an object is compressed stands in its metadata: ``cellyard-zstd`` with the size that its content has.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any, Protocol

from blake3 import blake3

from cellyard.artifacts.compression import CompressionError, Decompressor, compressed, shrinks
from cellyard.artifacts.s3_connection import Connection
from cellyard.artifacts.s3_failures import Failed, Kind
from cellyard.artifacts.s3_requests import Requests, Stored

__all__ = ["Damaged", "Target", "Transfer"]

ZSTD = "cellyard-zstd"
#: From this size on it is asked first whether the object is there, rather than sent in vain.
ASK_FIRST_BYTES = 1 << 20
#: Up to twice this size an object is sent in one request.
PART_BYTES = 32 << 20
_MOST_PARTS = 9_000
_PARTS_AT_ONCE = 6
RANGE_BYTES = 16 << 20
_RANGES_AT_ONCE = 4
_TRIES = 2
#: Seconds after which an object is renewed when it is put again: garbage is told by its age.
OLD = 1200.0
_MOST_COPIED = 5 << 30
"""How often an object that came damaged is read: once more, it may have been the way."""


class Damaged(Exception):
    """An object whose content is not what its id says, and why."""


class Target(Protocol):
    """Where the content of a large object goes, piece by piece."""

    def write(self, data: bytes | memoryview, position: int) -> None: ...


class Nowhere:
    """A target for content that is only to be looked at."""

    def write(self, data: bytes | memoryview, position: int) -> None:
        return


class Transfer:
    """Objects of one store over one connection. Raises Failed and Damaged."""

    def __init__(
        self, connection: Connection, requests: Requests, key: Callable[[str], str], *, old: float = OLD
    ) -> None:
        self._old = old
        self._connection = connection
        self._requests = requests
        self._key = key
        self._part_slots = asyncio.Semaphore(_PARTS_AT_ONCE)
        self._range_slots = asyncio.Semaphore(2 * _RANGES_AT_ONCE)
        self._conditional = True

    # -- there

    async def _renewed(self, id: str, size: int) -> bool | None:
        """True when the object is there with this size, and counts as new to whoever asks what has not been used for
        long; None when it is there and has to be sent once more for that."""
        stored = await self._requests.head(self._key(id))
        if stored is None or _content_size(stored) != size:
            return False
        if stored.age > self._old and stored.size <= _MOST_COPIED:
            await self._requests.touch(self._key(id), stored.metadata)
            stored = await self._requests.head(self._key(id)) or stored  # some servers leave its time as it was
        return True if stored.age <= self._old else None

    async def send(self, id: str, view: memoryview) -> None:
        """The object is there after the call; it is not sent when it was there before."""
        there = await self._renewed(id, view.nbytes) if view.nbytes >= ASK_FIRST_BYTES else False
        if there:
            return
        pack = await self._connection.in_thread(shrinks, view) if view.nbytes >= ASK_FIRST_BYTES else shrinks(view)
        try:
            await self._send(id, view, pack=pack, replace=not self._conditional or there is None)
        except Failed as error:
            if error.failure.kind is Kind.UNSUPPORTED and self._conditional:
                self._conditional = False  # whoever writes this key writes the same bytes
            elif error.failure.kind is not Kind.EXISTS or await self._renewed(id, view.nbytes):
                if error.failure.kind is Kind.EXISTS:
                    return
                raise
            await self._send(id, view, pack=pack, replace=True)

    async def _send(self, id: str, view: memoryview, *, pack: bool, replace: bool) -> None:
        metadata = {ZSTD: str(view.nbytes)} if pack else {}
        if view.nbytes > 2 * PART_BYTES:
            await self._send_in_parts(id, view, metadata, replace=replace)
            return
        data: bytes | memoryview = view
        if pack:
            data = await self._connection.in_thread(lambda: b"".join(compressed(view)))
        await self._requests.put(self._key(id), data, metadata, replace=replace)

    async def _send_in_parts(self, id: str, view: memoryview, metadata: Mapping[str, str], *, replace: bool) -> None:
        key = self._key(id)
        upload = await self._requests.begin(key, metadata)
        try:
            sent = await self._send_parts(key, upload, self._parts(view, pack=bool(metadata)))
            await self._requests.complete(key, upload, sent, replace=replace)
        except Failed as error:
            if error.failure.kind is Kind.NO_UPLOAD and await self._renewed(id, view.nbytes):
                return  # it was completed, and only the answer was lost
            await self._requests.abort(key, upload)
            raise
        except BaseException:
            await self._requests.abort(key, upload)
            raise

    async def _send_parts(
        self, key: str, upload: str, parts: AsyncIterator[bytes | memoryview]
    ) -> list[dict[str, Any]]:
        sending: list[asyncio.Task[dict[str, Any]]] = []

        async def send(number: int, data: bytes | memoryview) -> dict[str, Any]:
            try:
                return await self._requests.part(key, upload, number, data)
            finally:
                self._part_slots.release()

        try:
            async for data in parts:
                await self._part_slots.acquire()
                sending.append(asyncio.create_task(send(len(sending) + 1, data)))
                if any(task.done() and task.exception() for task in sending):
                    break
            return list(await asyncio.gather(*sending))
        finally:
            await _end(sending)

    async def _parts(self, view: memoryview, *, pack: bool) -> AsyncIterator[bytes | memoryview]:
        """The object as parts of one size, as some servers want them; the last may be smaller."""
        size = max(PART_BYTES, -(-view.nbytes // _MOST_PARTS))
        if not pack:
            for start in range(0, view.nbytes, size):
                yield view[start : start + size]
            return
        frames, gathered = compressed(view), bytearray()
        while (frame := await self._connection.in_thread(next, frames, None)) is not None:
            gathered += frame
            while len(gathered) > size:
                yield bytes(gathered[:size])
                del gathered[:size]
        yield bytes(gathered)

    # -- and back

    async def fetch(self, id: str, target: Callable[[int], Target]) -> bytes | Target:
        """An object's content, compared with its hash: the bytes themselves, or, where it is large, the target that
        ``target`` makes for its size, filled."""
        for attempt in range(_TRIES):
            try:
                return await self._fetch(id, target)
            except Damaged:
                if attempt + 1 == _TRIES:
                    raise
        raise AssertionError("unreachable")

    async def check(self, id: str) -> None:
        """Read the object and compare it with its hash."""
        await self.fetch(id, lambda size: Nowhere())

    async def _fetch(self, id: str, target: Callable[[int], Target]) -> bytes | Target:
        try:
            first, stored = await self._range(id, 0)
        except Failed as error:
            if error.failure.kind is not Kind.RANGE:
                raise
            first, stored = [], Stored(0, {})  # nothing at all can be had of an empty object
        if stored.size <= RANGE_BYTES and _content_size(stored) <= RANGE_BYTES:
            return await self._whole(id, first, stored)
        made = target(_content_size(stored))
        content = _Content(made, packed=ZSTD in stored.metadata)
        await self._connection.in_thread(content.add, first)
        await self._fetch_rest(id, stored.size, content)
        content.check(id, _content_size(stored))
        return made

    async def _whole(self, id: str, pieces: list[bytes], stored: Stored) -> bytes:
        data = b"".join(pieces)
        if ZSTD in stored.metadata:
            data = await self._connection.in_thread(_unpacked, data)
        if blake3(data).hexdigest() != id:
            raise Damaged(_OTHER_CONTENT)
        return data

    async def _fetch_rest(self, id: str, size: int, content: _Content) -> None:
        starts = deque(range(RANGE_BYTES, size, RANGE_BYTES))
        coming: deque[asyncio.Task[tuple[list[bytes], Stored]]] = deque()
        try:
            while starts or coming:
                while starts and len(coming) < _RANGES_AT_ONCE:
                    coming.append(asyncio.create_task(self._range(id, starts.popleft())))
                pieces, _ = await coming.popleft()
                await self._connection.in_thread(content.add, pieces)
        finally:
            await _end(coming)

    async def _range(self, id: str, start: int) -> tuple[list[bytes], Stored]:
        pieces: list[bytes] = []

        def take(offset: int, piece: bytes) -> None:
            if offset == 0:
                pieces.clear()
            pieces.append(piece)

        async with self._range_slots:
            stored = await self._requests.get(self._key(id), start, RANGE_BYTES, take)
        return pieces, stored


_OTHER_CONTENT = "its content does not have the hash that names it"


class _Content:
    """The content of one object on its way to a target, hashed as it goes by."""

    def __init__(self, target: Target, *, packed: bool) -> None:
        self._target = target
        self._hasher = blake3()
        self._decompressor = Decompressor() if packed else None
        self._position = 0

    def add(self, pieces: list[bytes]) -> None:
        """The next bytes of the object, as they are stored. Raises Damaged."""
        for piece in pieces:
            data = piece if self._decompressor is None else _feed(self._decompressor, piece)
            self._hasher.update(data)
            self._target.write(data, self._position)
            self._position += len(data)

    def check(self, id: str, size: int) -> None:
        """Raises Damaged unless it was all."""
        if self._position != size:
            raise Damaged(f"it has {self._position:,} bytes instead of {size:,}")
        if self._hasher.hexdigest() != id:
            raise Damaged(_OTHER_CONTENT)


def _unpacked(data: bytes) -> bytes:
    return _feed(Decompressor(), data)


def _feed(decompressor: Decompressor, data: bytes) -> bytes:
    try:
        return decompressor.feed(data)
    except CompressionError as error:
        raise Damaged(f"it cannot be decompressed ({error})") from error


def _content_size(stored: Stored) -> int:
    noted = stored.metadata.get(ZSTD, "")
    return int(noted) if noted.isdigit() else stored.size


async def _end(tasks: list[asyncio.Task[Any]] | deque[asyncio.Task[Any]]) -> None:
    """None of the tasks runs any more."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
