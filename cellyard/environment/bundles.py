"""Bundles: the files of a module or package in one object of the store, and back in a folder.

The same files make the same bytes: names in order, no times, no owners. A bundle is the length of its table, the table
(name, whether it may be executed, size; MessagePack) and the contents one after another.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, NamedTuple

from cellyard.artifacts.encoding import decode, encode
from cellyard.artifacts.store import Store
from cellyard.errors import ArtifactCorrupt

__all__ = ["Bundled", "appear", "put_bundle", "unpack", "unpack_all"]

_LENGTH_BYTES = 8
_IN_MEMORY = 16 << 20
_COPY_BYTES = 4 << 20


class Bundled(NamedTuple):
    """A bundle in the store."""

    id: str
    size: int


def put_bundle(store: Store, files: Mapping[str, Path]) -> Bundled:
    """Store files under the names given for them (relative, with ``/``)."""
    with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as out:
        size = _write(out, files)
        out.seek(0)
        if size < _IN_MEMORY:
            return Bundled(store.put(out.read()), size)
        with mmap.mmap(out.fileno(), size, access=mmap.ACCESS_READ) as mapped, memoryview(mapped) as view:
            return Bundled(store.put(view), size)


def _write(out: IO[bytes], files: Mapping[str, Path]) -> int:
    names = sorted(files)
    table = [(name, os.access(files[name], os.X_OK), files[name].stat().st_size) for name in names]
    head = encode(table)
    out.write(len(head).to_bytes(_LENGTH_BYTES, "little") + head)
    for name, _, size in table:
        before = out.tell()
        with files[name].open("rb") as file:
            shutil.copyfileobj(file, out, _COPY_BYTES)
        if out.tell() - before != size:
            raise OSError(f"{files[name]} was changed while it was read")
    return out.tell()


def unpack(data: bytes | memoryview, folder: Path) -> None:
    """Write the files of a bundle below ``folder``. Raises ArtifactCorrupt for what no bundle of ours holds."""
    view = memoryview(data)
    start = _LENGTH_BYTES + int.from_bytes(view[:_LENGTH_BYTES], "little")
    made: set[Path] = set()
    for name, executable, size in decode(view[_LENGTH_BYTES:start]):
        path = folder / name
        if ".." in Path(name).parts or Path(name).is_absolute():
            raise ArtifactCorrupt(id="bundle", path=name, reason="a bundle's names stay below its folder")
        if path.parent not in made:
            path.parent.mkdir(parents=True, exist_ok=True)
            made.add(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o555 if executable else 0o444)
        with open(descriptor, "wb") as file:  # noqa: PTH123
            file.write(view[start : start + size])
        start += size


@contextlib.contextmanager
def _beside(folder: Path) -> Iterator[Path]:
    """A new folder beside this one, gone after the block unless it was renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    temporary = folder.with_name(f".{folder.name[:16]}-{uuid.uuid4().hex}")
    temporary.mkdir()
    try:
        yield temporary
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def appear(folder: Path, fill: Callable[[Path], None]) -> Path:
    """Have ``folder`` filled, complete or not at all: where two do it at once, the later one finds it done."""
    if not folder.is_dir():
        with _beside(folder) as temporary:
            fill(temporary)
            try:
                temporary.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
    return folder


def unpack_all(store: Store, bundles: Iterable[Bundled], folder: Path) -> None:
    """Write several bundles into one folder; every byte is checked."""
    for each in bundles:
        unpack(store.read(each.id), folder)
