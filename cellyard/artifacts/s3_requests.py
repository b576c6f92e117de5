"""Single requests to S3, each repeated for as long as it may still succeed.

A request that fails for a reason that may pass is sent again, after pauses that double, for ``PATIENCE`` seconds; where
the server has never answered this process before, which looks like a wrong address, only for ``FIRST_PATIENCE``.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from cellyard.artifacts.s3_connection import Connection
from cellyard.artifacts.s3_failures import Failed, Failure, Kind, classify

__all__ = ["Body", "Listed", "Requests", "Stored"]

T = TypeVar("T")
Sink = Callable[[int, bytes], None]

PATIENCE = 90.0
FIRST_PATIENCE = 10.0
_FIRST_PAUSE = 0.05
_LONGEST_PAUSE = 3.0
#: Seconds between two looks at a body that is being sent, and how many of them, after its end, an answer may take.
_SILENCE = 20.0
_MOST_SILENT = 5
_PIECE = 1 << 20
#: aiohttp warns of larger bodies that are bytes.
_PLAIN_BODY = 1 << 20


@dataclass(frozen=True, slots=True)
class Stored:
    """What the server says of an object: its size there, its metadata, and how old it is in seconds."""

    size: int
    metadata: Mapping[str, str]
    age: float = 0.0


@dataclass(frozen=True, slots=True)
class Listed:
    """One line of a listing."""

    key: str
    size: int
    changed: float


class Body:
    """A part of a buffer as a file to read from and to iterate over, without a copy."""

    def __init__(self, view: memoryview) -> None:
        self._view = view
        self._position = 0

    def read(self, size: int = -1) -> memoryview:
        """The next bytes; none at the end."""
        end = self._view.nbytes if size is None or size < 0 else min(self._view.nbytes, self._position + size)
        found = self._view[self._position : end]
        self._position = end
        return found

    def seek(self, offset: int, whence: int = 0) -> int:
        """As a file's: whence 0 from the beginning, 1 from here, 2 from the end."""
        self._position = offset + (0, self._position, self._view.nbytes)[whence]
        return self._position

    def tell(self) -> int:
        return self._position

    @property
    def is_read(self) -> bool:
        """True at the end."""
        return self._position == self._view.nbytes

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        while piece := self.read(_PIECE):
            yield piece


class Requests:
    """Requests about one bucket. Raise :class:`Failed`."""

    def __init__(self, connection: Connection, bucket: str, *, patience: float | None = None) -> None:
        self._connection = connection
        self._bucket = bucket
        self._patience = patience

    async def head(self, key: str) -> Stored | None:
        """What is known of an object; None when it does not exist."""

        async def ask() -> Stored:
            return _stored(await self._call("head_object", Key=key))

        try:
            return await self.persist(ask)
        except Failed as error:
            if error.failure.kind is Kind.MISSING:
                return None
            if error.failure.kind is Kind.REFUSED:  # an answer to HEAD does not say why
                await self.get(key, 0, 1, lambda _, __: None)
            raise

    async def greet(self, key: str) -> None:
        """Ask for an object that does not exist; whatever comes of it is for the next request to find out."""
        with contextlib.suppress(Exception):
            await self._call("head_object", Key=key)

    async def get(self, key: str, start: int, length: int, sink: Sink) -> Stored:
        """Read at most ``length`` bytes from ``start`` on; ``sink`` gets each piece with its offset from ``start``.

        After a broken connection it gets the same pieces again, from the beginning.
        """

        async def fetch() -> Stored:
            answer = await self._call("get_object", Key=key, Range=f"bytes={start}-{start + length - 1}")
            expected = int(answer["ContentLength"])
            done = 0
            body = answer["Body"]
            try:
                async for piece in body.raw_stream.content.iter_any():
                    sink(done, piece)
                    done += len(piece)
            finally:
                body.close() if done < expected else body.raw_stream.release()
            if done != expected:
                raise ConnectionError(f"{done} of {expected} bytes")
            return _stored(answer)

        return await self.persist(fetch)

    async def put(self, key: str, data: bytes | memoryview, metadata: Mapping[str, str], *, replace: bool) -> None:
        """Write an object whole; Failed with Kind.EXISTS when it is there and ``replace`` is False."""

        async def send() -> None:
            await self._send("put_object", data, Key=key, Metadata=dict(metadata), **_condition(replace))

        await self.persist(send)

    async def begin(self, key: str, metadata: Mapping[str, str]) -> str:
        """Begin an upload in parts; returns its id."""

        async def ask() -> str:
            answer = await self._call("create_multipart_upload", Key=key, Metadata=dict(metadata))
            return str(answer["UploadId"])

        return await self.persist(ask)

    async def part(self, key: str, upload: str, number: int, data: bytes | memoryview) -> dict[str, Any]:
        """Send one part, counted from 1; returns what :meth:`complete` needs of it."""

        async def send() -> dict[str, Any]:
            answer = await self._send("upload_part", data, Key=key, UploadId=upload, PartNumber=number)
            return {"PartNumber": number, "ETag": answer["ETag"]}

        return await self.persist(send)

    async def complete(self, key: str, upload: str, parts: Sequence[Mapping[str, Any]], *, replace: bool) -> None:
        """The object appears, whole. Failed with Kind.EXISTS as :meth:`put`, with NO_UPLOAD when it may have before."""

        async def ask() -> None:
            together = {"Parts": list(parts)}
            await self._call(
                "complete_multipart_upload", Key=key, UploadId=upload, MultipartUpload=together, **_condition(replace)
            )

        await self.persist(ask)

    async def abort(self, key: str, upload: str) -> None:
        """The parts of an upload are gone."""

        async def ask() -> None:
            await self._call("abort_multipart_upload", Key=key, UploadId=upload)

        try:
            await self.persist(ask)
        except Failed as error:
            if error.failure.kind not in (Kind.NO_UPLOAD, Kind.MISSING):
                raise

    async def page(self, prefix: str, after: str | None) -> tuple[list[Listed], str | None]:
        """One page of the objects below ``prefix``, in order, and where the next one begins."""

        async def ask() -> tuple[list[Listed], str | None]:
            more = {"ContinuationToken": after} if after else {}
            answer = await self._call("list_objects_v2", Prefix=prefix, **more)
            found = [
                Listed(each["Key"], int(each["Size"]), each["LastModified"].timestamp())
                for each in answer.get("Contents", ())
            ]
            return found, answer.get("NextContinuationToken")

        return await self.persist(ask)

    async def touch(self, key: str, metadata: Mapping[str, str]) -> None:
        """The object counts as written now. What it is and what is noted beside it stay as they are."""

        async def ask() -> None:
            source = {"Bucket": self._bucket, "Key": key}
            await self._call(
                "copy_object", Key=key, CopySource=source, Metadata=dict(metadata), MetadataDirective="REPLACE"
            )

        await self.persist(ask)

    async def delete(self, key: str) -> None:
        """The object is there no more; one that was not there is fine."""

        async def ask() -> None:
            await self._call("delete_object", Key=key)

        await self.persist(ask)

    async def uploads(self, prefix: str) -> list[tuple[str, str, float]]:
        """Uploads below ``prefix`` that were begun and not ended: key, id, and when (seconds since 1970)."""

        async def ask() -> list[tuple[str, str, float]]:
            answer = await self._call("list_multipart_uploads", Prefix=prefix)
            begun = answer.get("Uploads", ())
            return [(each["Key"], each["UploadId"], each["Initiated"].timestamp()) for each in begun]

        return await self.persist(ask)

    async def _send(self, method: str, data: bytes | memoryview, **arguments: Any) -> Any:
        """A request with a body. A connection that takes no more of it, and is not said to be broken either, is given
        up: nothing below us does so."""
        body = _body(data)
        sending = asyncio.ensure_future(self._call(method, Body=body, **arguments))
        silent, position = 0, 0
        try:
            while silent < (_MOST_SILENT if _is_read(body) else 1):
                if (await asyncio.wait({sending}, timeout=_SILENCE))[0]:
                    return sending.result()
                silent, position = (silent + 1, position) if _position(body) == position else (0, _position(body))
            raise TimeoutError(f"nothing was sent for {silent * _SILENCE:g} s")
        finally:
            sending.cancel()

    async def _call(self, method: str, **arguments: Any) -> Any:
        files = await self._connection.files()
        answer = await files._call_s3(method, Bucket=self._bucket, **arguments)
        self._connection.reached = True
        return answer

    async def persist(self, action: Callable[[], Awaitable[T]]) -> T:
        """The action's result, tried again while that may help. Raises Failed."""
        failing_since: float | None = None
        pause = _FIRST_PAUSE
        renewed = False
        while True:
            try:
                result = await action()
            except Exception as error:
                failure = classify(error)
                if failure is None:
                    raise
                self._note(failure)
                failing_since = failing_since or time.monotonic()
                waited = time.monotonic() - failing_since
                if failure.kind is Kind.EXPIRED and not renewed:
                    renewed = True
                    await self._connection.open(renew=True)
                    continue
                if failure.kind is not Kind.TRANSIENT or waited > self.patience:
                    raise Failed(failure, waited) from error
            else:
                return result
            await asyncio.sleep(pause * (0.5 + random.random()))
            pause = min(2 * pause, _LONGEST_PAUSE)

    def _note(self, failure: Failure) -> None:
        """Any answer of the server, also a refusal, shows that the address is right."""
        if failure.kind is not Kind.TRANSIENT and failure.kind is not Kind.REFUSED:
            self._connection.reached = True

    @property
    def patience(self) -> float:
        """Seconds for which a request is tried again."""
        if self._patience is not None:
            return self._patience
        return PATIENCE if self._connection.reached else FIRST_PATIENCE


def _stored(answer: Mapping[str, Any]) -> Stored:
    total = str(answer.get("ContentRange") or "").rpartition("/")[2]
    size = int(total) if total.isdigit() else int(answer["ContentLength"])
    changed = answer.get("LastModified")
    age = 0.0 if changed is None else time.time() - changed.timestamp()
    return Stored(size, answer.get("Metadata") or {}, age)


def _body(data: bytes | memoryview) -> bytes | Body:
    view = memoryview(data)
    return bytes(view) if view.nbytes <= _PLAIN_BODY else Body(view)


def _position(body: bytes | Body) -> int:
    return body.tell() if isinstance(body, Body) else 0


def _is_read(body: bytes | Body) -> bool:
    return not isinstance(body, Body) or body.is_read


def _condition(replace: bool) -> dict[str, str]:
    return {} if replace else {"IfNoneMatch": "*"}
