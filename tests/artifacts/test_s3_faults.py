"""A store on S3 while its server, the way to it, or its cache's disk fails. Each test first sees the fault happen."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from cellyard.artifacts.mapping import mapping_of
from cellyard.artifacts.store import Store, open_store
from cellyard.errors import ArtifactCorrupt, StoreRefused, StoreUnreachable
from tests.buckets import Bucket, OwnServer, Relay, bucket, own_server, s3
from tests.faults.disks import DISKS, Disk

__all__ = ["bucket", "own_server", "s3"]

MIB = 1 << 20


@pytest.fixture
def own_bucket(own_server: OwnServer) -> Bucket:
    """A bucket of the server that this test may break."""
    found = Bucket()
    found.make()
    return found


def at(bucket: Bucket, cache: Path, *, patience: float | None = 60.0) -> Store:
    store = open_store(f"{bucket.url}?cache={cache}", patience=patience)
    store.open()
    return store


@pytest.fixture
def relay(own_server: OwnServer, own_bucket: Bucket, monkeypatch: pytest.MonkeyPatch) -> Iterator[Relay]:
    """The way that requests of this test take."""
    found = Relay(own_server.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{found.port}")
    yield found
    found.close()


def meanwhile(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


# -- the server


@pytest.mark.parametrize("size", [1000, 80 * MIB])
def test_a_server_that_is_down_for_seconds_is_survived(
    own_server: OwnServer, own_bucket: Bucket, tmp_path: Path, size: int
) -> None:
    store, data = at(own_bucket, tmp_path), os.urandom(size)
    store.put(b"it was there")
    own_server.stop()
    began = time.monotonic()
    coming: list[str] = []
    thread = meanwhile(lambda: coming.append(store.put(data)))
    thread.join(4.0)
    assert thread.is_alive(), "the write did not notice that the server is down"
    own_server.start()
    thread.join(30.0)
    assert coming == [blake3(data).hexdigest()]
    assert time.monotonic() - began > 4.0
    assert at(own_bucket, tmp_path / "other").read(coming[0]) == data


def test_a_server_that_stops_in_mid_transfer_is_survived(
    own_server: OwnServer, own_bucket: Bucket, tmp_path: Path
) -> None:
    store, data = at(own_bucket, tmp_path), os.urandom(120 * MIB)
    coming: list[str] = []
    thread = meanwhile(lambda: coming.append(store.put(data)))
    while not own_bucket.uploads():
        assert thread.is_alive()
    own_server.stop()
    assert thread.is_alive(), "the write was over before the server stopped"
    thread.join(2.0)
    own_server.start()
    thread.join(60.0)
    other = at(own_bucket, tmp_path / "other")
    assert len(coming) == 1
    assert bytes(other.map(coming[0], len(data))) == data
    assert own_bucket.uploads() == []


def test_a_server_that_stays_away_is_named_with_what_was_tried(
    own_server: OwnServer, own_bucket: Bucket, tmp_path: Path
) -> None:
    store = at(own_bucket, tmp_path, patience=1.0)
    own_server.stop()
    for ask in (lambda: store.put(b"x"), lambda: store.read("0" * 64), lambda: list(store.verify())):
        with pytest.raises(StoreUnreachable) as caught:
            ask()
        said = str(caught.value)
        assert own_bucket.url in said
        assert f"http://127.0.0.1:{own_server.port}" in said
        assert "the connection was refused" in said
        assert "AWS_ENDPOINT_URL" in said


def test_at_the_first_request_a_wrong_address_is_told_soon(
    own_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://nobody.invalid:9000")
    program = f"from cellyard.artifacts.store import open_store; open_store({own_bucket.url!r}).put(b'x')"
    began = time.monotonic()
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert "StoreUnreachable" in done.stderr
    assert "its name is not known (DNS)" in done.stderr
    assert 9 < time.monotonic() - began < 40


# -- the way


def test_a_connection_that_is_cut_while_writing_is_made_again(relay: Relay, own_bucket: Bucket, tmp_path: Path) -> None:
    store, data = at(own_bucket, tmp_path), os.urandom(100 * MIB)
    relay.cut_after(5 * MIB)
    id = store.put(data)
    assert relay.cuts == 1
    assert at(own_bucket, tmp_path / "other").read(id) == data


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("way", ["write", "read"])
def test_a_connection_that_falls_silent_is_given_up(relay: Relay, own_bucket: Bucket, tmp_path: Path, way: str) -> None:
    store, data = at(own_bucket, tmp_path), os.urandom(100 * MIB)
    if way == "write":
        relay.cut_after(5 * MIB, silently=True)
    id = store.put(data)
    if way == "read":
        relay.cut_after(5 * MIB, silently=True)
    assert bytes(at(own_bucket, tmp_path / "other").map(id, len(data))) == data
    assert relay.cuts == 1


def test_a_connection_that_is_cut_while_reading_is_made_again(relay: Relay, own_bucket: Bucket, tmp_path: Path) -> None:
    data = os.urandom(100 * MIB)
    id = at(own_bucket, tmp_path).put(data)
    other = at(own_bucket, tmp_path / "other")
    relay.cut_after(5 * MIB)
    assert bytes(other.map(id, len(data))) == data
    assert relay.cuts == 1


# -- the one who writes

HALF = """
import os, sys
from cellyard.artifacts.store import open_store
open_store(sys.argv[1]).put(os.urandom(100 << 20))
"""


def test_an_upload_that_was_killed_shows_nothing_and_can_be_swept(
    relay: Relay, own_bucket: Bucket, tmp_path: Path
) -> None:
    bucket = own_bucket
    relay.cut_after(5 * MIB, silently=True)  # so that it is not over sooner than it is seen
    writer = subprocess.Popen([sys.executable, "-c", HALF, f"{bucket.url}?cache={tmp_path}"])
    while not (relay.cuts and bucket.uploads()):
        assert writer.poll() is None
    writer.send_signal(signal.SIGKILL)
    writer.wait()
    assert bucket.uploads(), "the upload had ended before the writer was killed"
    assert bucket.listed() == []
    store = at(bucket, tmp_path)
    assert list(store.verify()) == []
    assert store.sweep(3600.0) == 0
    assert store.sweep(-1.0) == 1
    assert bucket.uploads() == []


# -- the answers


def test_wrong_credentials_are_told_without_them(
    own_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2")
    with pytest.raises(StoreRefused, match="AWS_SECRET_ACCESS_KEY") as caught:
        at(own_bucket, tmp_path).put(b"x")
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(at(own_bucket, tmp_path).__dict__)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody-at-all")
    with pytest.raises(StoreRefused, match="access key is unknown") as caught:
        at(own_bucket, tmp_path).put(b"x")
    assert "nobody-at-all" not in str(caught.value)


def test_renewed_credentials_are_used_without_being_told(
    own_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    right = os.environ["AWS_SECRET_ACCESS_KEY"]
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "it has expired")
    store = at(own_bucket, tmp_path)
    with pytest.raises(StoreRefused):
        store.put(b"x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", right)
    assert store.read(store.put(b"x")) == b"x"


def test_no_credentials_at_all_are_told(own_bucket: Bucket, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "none"))
    with pytest.raises(StoreRefused, match="no credentials were found"):
        at(own_bucket, tmp_path).put(b"x")


# -- the cache


@pytest.fixture(params=sorted(DISKS))
def disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Disk]:
    """A small disk of each kind that can be had here."""
    with DISKS[request.param](tmp_path) as found:
        yield found


@pytest.mark.parametrize("size", [10 * MIB, 20 * MIB])
def test_with_a_full_disk_it_goes_on_from_memory(
    bucket: Bucket, disk: Disk, tmp_path_factory: pytest.TempPathFactory, size: int
) -> None:
    data = os.urandom(size)
    id = at(bucket, tmp_path_factory.mktemp("elsewhere")).put(data)
    disk.fill(os.getpid())
    try:
        store = at(bucket, disk.folder / "cache")
        view = store.map(id, len(data))
        assert mapping_of(view) is None, "there was room for a file"
        assert bytes(view) == data
        view[0] ^= 1
        assert store.read(store.put(view)) == bytes(view)
        assert store.read(id) == data
    finally:
        disk.free()


@pytest.mark.parametrize("size", [1000, 70_000, 20 * MIB])
def test_a_damaged_file_of_the_cache_is_fetched_again(bucket: Bucket, tmp_path: Path, size: int) -> None:
    data = os.urandom(size)
    id = at(bucket, tmp_path).put(data)
    [file] = [each for each in tmp_path.rglob("objects/*/*") if each.is_file()]
    for damage in (lambda: file.write_bytes(b"x" * size), lambda: os.truncate(file, size // 2), file.unlink):
        damage()
        assert bytes(at(bucket, tmp_path).map(id, size)) == data
        damage()
        assert at(bucket, tmp_path).read(id) == data
        assert file.read_bytes() == data


def test_an_object_that_is_damaged_over_there_never_gets_into_the_cache(bucket: Bucket, tmp_path: Path) -> None:
    data = os.urandom(20 * MIB)
    id = at(bucket, tmp_path / "one").put(data)
    [key] = bucket.listed()
    bucket.replace(key, data[:-1] + bytes([data[-1] ^ 1]))
    other = at(bucket, tmp_path / "other")
    for ask in (lambda: other.map(id, len(data)), lambda: other.read(id)):
        with pytest.raises(ArtifactCorrupt, match="its content does not have the hash"):
            ask()
    assert not [each for each in (tmp_path / "other").rglob("*") if each.is_file() and each.name != "used"]
    with pytest.raises(ArtifactCorrupt, match="bytes instead of 5"):
        at(bucket, tmp_path / "one").map(id, 5)
