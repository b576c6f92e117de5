"""The disk cache: small enough, shared by many processes, and never believed when it was touched."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blake3 import blake3

from cellyard.artifacts.cache import DiskCache

KIB = 1 << 10
MIB = 1 << 20


def id_of(data: bytes) -> str:
    return str(blake3(data).hexdigest())


def fill(cache: DiskCache, count: int, size: int = 64 * KIB) -> list[str]:
    ids = []
    for number in range(count):
        data = number.to_bytes(4, "big") * (size // 4)
        ids.append(id_of(data))
        cache.write(ids[-1], data)
    return ids


def on_disk(folder: Path) -> int:
    return sum(file.stat().st_size for file in (folder / "objects").rglob("*") if file.is_file())


def age(cache: DiskCache, id: str, seconds: float) -> None:
    """As if the object had been used so long ago."""
    found = Path(cache.path(id)).stat()
    os.utime(cache.path(id), (time.time() - seconds, found.st_mtime))


def test_what_was_written_is_read_by_everyone(tmp_path: Path) -> None:
    DiskCache(str(tmp_path)).write(id_of(b"content"), b"content")
    cache = DiskCache(str(tmp_path))
    assert cache.read(id_of(b"content")) == b"content"
    assert cache.find(id_of(b"content"), 7) == cache.path(id_of(b"content"))
    assert cache.read(id_of(b"other")) is None
    assert cache.find(id_of(b"other")) is None


def test_files_are_for_their_owner_alone(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path / "cache"))
    [id] = fill(cache, 1)
    file = Path(cache.path(id))
    assert file.stat().st_mode & 0o077 == 0
    assert file.parent.stat().st_mode & 0o077 == 0


def test_the_limit_holds_and_what_was_not_used_for_longest_goes(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path), MIB)
    ids = fill(cache, 16)
    assert on_disk(tmp_path) == MIB
    for place, id in enumerate(ids):
        age(cache, id, 1000.0 - place)
    assert cache.find(ids[0]) is not None  # and so it is the one that was used last
    new = b"new" * 40_000
    cache.write(id_of(new), new)
    assert on_disk(tmp_path) <= MIB
    assert cache.read(id_of(new)) == new
    assert cache.find(ids[0]) is not None
    assert cache.find(ids[1]) is None
    assert cache.find(ids[-1]) is not None


def test_a_file_that_is_mapped_may_be_removed(tmp_path: Path) -> None:
    import mmap

    cache = DiskCache(str(tmp_path), MIB)
    [id] = fill(cache, 1)
    with Path(cache.path(id)).open("rb") as file:
        mapped = mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ)
    before = bytes(mapped)
    age(cache, id, 1000.0)
    fill(DiskCache(str(tmp_path), MIB), 17, 63 * KIB)
    assert cache.find(id) is None
    assert bytes(mapped) == before


def test_an_object_larger_than_the_cache_leaves_the_rest_alone(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path), MIB)
    ids = fill(cache, 3)
    cache.write(id_of(bytes(2 * MIB)), bytes(2 * MIB))
    assert cache.find(id_of(bytes(2 * MIB))) is None
    assert all(cache.find(id) for id in ids)
    assert list((tmp_path / "tmp").iterdir()) == []


WRITER = """
import os, sys
from blake3 import blake3
from cellyard.artifacts.cache import DiskCache
cache = DiskCache(sys.argv[1], 1 << 20)
for number in range(60):
    data = os.urandom(40_000)
    id = blake3(data).hexdigest()
    cache.write(id, data)
    found = cache.read(id)
    assert found is None or found == data
"""


def test_many_processes_keep_to_the_limit_together(tmp_path: Path) -> None:
    writers = [subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path)]) for _ in range(3)]
    assert [writer.wait(60) for writer in writers] == [0, 0, 0]
    assert 0 < on_disk(tmp_path) <= MIB
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_nobody_finished_goes_with_the_next_that_goes(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path), MIB)
    left = cache.create(100 * KIB)
    os.utime(left.path, (time.time() - 7200,) * 2)
    fill(cache, 17)
    assert not Path(left.path).exists()
    left.close()


@pytest.mark.parametrize("touch", ["content", "end", "time"])
def test_a_file_that_was_touched_is_compared_with_its_hash(tmp_path: Path, touch: str) -> None:
    cache = DiskCache(str(tmp_path))
    [id] = fill(cache, 1)
    file = Path(cache.path(id))
    if touch == "content":
        file.write_bytes(b"x" * file.stat().st_size)
    elif touch == "end":
        os.truncate(file, 10)
    else:
        os.utime(file)
    assert (cache.find(id, 64 * KIB) is not None) == (touch == "time")
    assert file.exists() == (touch == "time")


def test_a_folder_of_someone_else_is_no_cache(tmp_path: Path) -> None:
    cache = DiskCache(str(tmp_path))
    [id] = fill(cache, 1)
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(tmp_path / "objects", 12345, 12345)
    other = DiskCache(str(tmp_path))
    assert other.find(id) is None
    assert other.read(id) is None
    other.write(id_of(b"new"), b"new")
    assert other.read(id_of(b"new")) is None
