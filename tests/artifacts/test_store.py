"""The store: objects are complete or absent, whatever happens to their writers."""

from __future__ import annotations

import os
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from cellyard.artifacts.store import OVERLAP_BYTES, LocalStore, open_store
from cellyard.errors import ArtifactCorrupt, ArtifactMissing, StoreFull

LARGE = OVERLAP_BYTES + 12_345


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


def files(folder: Path) -> list[str]:
    return sorted(str(each.relative_to(folder)) for each in folder.rglob("*") if each.is_file())


def temporary_files(store: LocalStore) -> list[str]:
    return [each for each in files(Path(store.url)) if each.startswith("tmp")]


def damaged(store: LocalStore) -> list[str]:
    return [id for id, error in store.verify() if error is not None]


def run_python(source: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", source, *arguments], capture_output=True, text=True, timeout=60, check=False
    )


@pytest.mark.parametrize("size", [0, 1, 1000, LARGE])
def test_what_is_put_is_read_under_its_hash(store: LocalStore, size: int) -> None:
    data = os.urandom(size)
    id = store.put(data)
    assert id == blake3(data).hexdigest()
    assert store.read(id) == data
    assert open_store(store.url).read(id) == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_any_buffer_can_be_put(store: LocalStore, kind: type) -> None:
    assert store.read(store.put(kind(b"abc"))) == b"abc"


@pytest.mark.parametrize("size", [1000, LARGE])
def test_the_same_content_is_one_file(store: LocalStore, size: int) -> None:
    data = os.urandom(size)
    assert store.put(data) == store.put(bytearray(data))
    assert len(files(Path(store.url))) == 1


def test_objects_are_for_their_owner_alone(store: LocalStore) -> None:
    path = Path(store.path(store.put(b"secret")))
    assert path.stat().st_mode & 0o077 == 0
    assert path.parent.stat().st_mode & 0o077 == 0


WRITER = """
import sys
from cellyard.artifacts.store import LocalStore
from pathlib import Path
store = LocalStore(Path(sys.argv[1]))
sys.stdin.read(1)
for size in (10, 70_000, 5 << 20):
    for seed in range(5):
        print(store.put(bytes([seed]) * size))
"""


def test_many_processes_write_the_same_objects_at_once(store: LocalStore) -> None:
    command = [sys.executable, "-c", WRITER, store.url]
    writers = [subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(6)]
    time.sleep(0.3)  # all of them wait at the line
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("x")
        writer.stdin.flush()
    told = {writer.communicate(timeout=30)[0] for writer in writers}
    assert [writer.returncode for writer in writers] == [0] * 6
    assert len(told) == 1
    assert sorted(set(told.pop().split())) == [id for id, error in store.verify() if error is None]
    assert len(files(Path(store.url))) == 15


def test_verify_finds_one_flipped_bit(store: LocalStore) -> None:
    good, bad = store.put(b"good" * 1000), store.put(b"bad" * 50_000)
    path = Path(store.path(bad))
    content = bytearray(path.read_bytes())
    content[77_777] ^= 1
    path.write_bytes(content)
    found = dict(store.verify())
    assert found[good] is None
    error = found[bad]
    assert isinstance(error, ArtifactCorrupt)
    assert (error.id, error.path) == (bad, str(path))


def test_reading_a_damaged_object_is_an_error_and_never_other_bytes(store: LocalStore) -> None:
    id = store.put(b"header" * 100)
    Path(store.path(id)).write_bytes(b"headex" * 100)
    with pytest.raises(ArtifactCorrupt, match=id):
        store.read(id)


@pytest.mark.parametrize("size", [99_999, 100_001, 0])
def test_mapping_an_object_of_the_wrong_size_is_corrupt(store: LocalStore, size: int) -> None:
    id = store.put(os.urandom(100_000))
    os.truncate(store.path(id), size)
    with pytest.raises(ArtifactCorrupt, match=rf"{size:,} bytes instead of 100,000"):
        store.map(id, 100_000)


def test_a_missing_object_is_missing(store: LocalStore) -> None:
    id = blake3(b"never put").hexdigest()
    for ask in (store.read, lambda id: store.map(id, 9)):
        with pytest.raises(ArtifactMissing) as caught:
            ask(id)
        assert (caught.value.id, caught.value.store) == (id, store.url)


@pytest.mark.parametrize("size", [1000, LARGE])
def test_putting_again_mends_an_object_that_lost_its_end(store: LocalStore, size: int) -> None:
    data = os.urandom(size)
    id = store.put(data)
    os.truncate(store.path(id), size // 2)
    assert store.put(data) == id
    assert store.read(id) == data


def test_a_large_object_that_is_there_is_not_written_again_but_counts_as_new(store: LocalStore) -> None:
    data = os.urandom(LARGE)
    path = Path(store.path(store.put(data)))
    os.utime(path, (0, 0))
    before = path.stat()
    store.put(data)
    after = path.stat()
    assert (after.st_ino, after.st_mtime > time.time() - 60) == (before.st_ino, True)
    assert files(Path(store.url)) == [str(path.relative_to(store.url))]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 8 MiB of its own, where mounting is permitted."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=8m,nr_inodes=200", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(mount, capture_output=True, check=False).returncode == 0
    yield folder
    if mounted:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def is_small_disk(folder: Path) -> bool:
    return os.path.ismount(folder)


@pytest.mark.parametrize("size", [1 << 20, OVERLAP_BYTES], ids=["small", "overlapped"])
def test_a_full_file_system_is_a_clear_error_and_hurts_nothing(small_disk: Path, size: int) -> None:
    if not is_small_disk(small_disk):  # the same fault from a limit on files is the next test
        assert os.statvfs(small_disk).f_bavail > 0
        return
    store = LocalStore(small_disk / "store")
    committed = [store.put(os.urandom(100_000)) for _ in range(3)]
    filler = small_disk / "filler"
    with filler.open("wb", buffering=0) as file:
        while True:
            try:
                file.write(bytes(1 << 16))
            except OSError:
                break
    os.truncate(filler, filler.stat().st_size - (256 << 10))  # room for a part of the object
    assert os.statvfs(small_disk).f_bavail * os.statvfs(small_disk).f_frsize < size
    with pytest.raises(StoreFull, match=rf"{size:,} bytes.*Free some space there.*cellyard gc") as caught:
        store.put(os.urandom(size))
    assert caught.value.path == store.url
    assert not damaged(store)
    assert {id for id, _ in store.verify()} == set(committed)
    assert not temporary_files(store)
    filler.unlink()
    assert store.read(store.put(b"room again")) == b"room again"


def test_a_file_system_without_inodes_is_full_too(small_disk: Path) -> None:
    if not is_small_disk(small_disk):
        assert os.statvfs(small_disk).f_ffree != 0
        return
    store = LocalStore(small_disk / "store")
    first = store.put(b"first")
    for number in range(os.statvfs(small_disk).f_ffree):
        (small_disk / f"file-{number}").touch()
    assert os.statvfs(small_disk).f_ffree == 0
    with pytest.raises(StoreFull, match=re.escape(store.url)):
        store.put(b"second")
    assert store.read(first) == b"first"


LIMITED = """
import os, resource, sys
from pathlib import Path
from cellyard.artifacts.store import LocalStore
from cellyard.errors import StoreFull
store = LocalStore(Path(sys.argv[1]))
store.put(b"committed" * 100)
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
for size in (2 << 20, 5 << 20):
    try:
        store.put(os.urandom(size))
    except StoreFull as error:
        print(error.needed)
"""


def test_a_file_beyond_the_limit_of_files_is_a_full_store(store: LocalStore) -> None:
    done = run_python(LIMITED, store.url)
    assert done.stdout.splitlines() == ["2,097,152 bytes", "5,242,880 bytes"], done.stderr
    assert not damaged(store)
    assert not temporary_files(store)
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 1 << 20


ENDLESS = """
import os, sys
from pathlib import Path
from cellyard.artifacts.store import LocalStore
store = LocalStore(Path(sys.argv[1]))
data = bytearray(os.urandom(24 << 20))
print(store.put(data), flush=True)
while True:
    data[:8] = os.urandom(8)
    store.put(data)
"""


def test_a_writer_killed_in_the_middle_leaves_no_half_object(store: LocalStore) -> None:
    halves = 0
    for attempt in range(8):
        writer = subprocess.Popen([sys.executable, "-c", ENDLESS, store.url], stdout=subprocess.PIPE, text=True)
        assert writer.stdout is not None
        first = writer.stdout.readline().strip()
        time.sleep(0.003 * attempt)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        writer.stdout.close()
        assert len(store.read(first)) == 24 << 20
        halves += len(temporary_files(store))
        assert not damaged(store)
        for each in Path(store.url).rglob("*"):
            if each.is_file():
                each.unlink()
        if halves:
            break
    assert halves, "no writer was hit in the middle of a write: the test has shown nothing"
