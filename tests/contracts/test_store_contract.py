"""What every store promises, as one class of tests that each store's class inherits."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from blake3 import blake3

from cellyard.artifacts.mapping import is_unchanged, mapping_of
from cellyard.artifacts.s3_store import S3Store
from cellyard.artifacts.s3_transfer import Transfer
from cellyard.artifacts.store import LocalStore, Store, open_store, prepare_fork
from cellyard.errors import ArtifactCorrupt, ArtifactMissing, CannotTravel
from cellyard.model.store_address import parse_bucket
from tests.buckets import Bucket, bucket, s3
from tests.contracts.places import Folder, InBucket, Place
from tests.service.engines import until

__all__ = ["TestLocalStore", "TestS3Store", "bucket", "s3"]

MIB = 1 << 20
#: The last goes to S3 in parts; all above 16 MiB come back in ranges.
SIZES = [0, 1, 1000, 70_000, 5 * MIB + 321, 70 * MIB + 7]
KINDS = ["random", "repetitive"]


def content(size: int, kind: str = "random") -> bytes:
    return os.urandom(size) if kind == "random" else (b"all work and no play " * (size // 21 + 1))[:size]


def id_of(data: bytes) -> str:
    return str(blake3(data).hexdigest())


WRITER = """
import sys
from cellyard.artifacts.store import open_store
store = open_store(sys.argv[1])
print("ready", flush=True)
sys.stdin.read(1)
for size in (10, 70_000, 5 << 20):
    for seed in range(3):
        print(store.put(bytes([seed, 1, seed]) * size))
"""

ENDLESS = """
import os, sys
from cellyard.artifacts.store import open_store
store = open_store(sys.argv[1])
data = bytearray(os.urandom(96 << 20))
print(store.put(data[:1000]), flush=True)
while True:
    data[:8] = os.urandom(8)
    store.put(data)
"""


class StoreContract:
    """Inherit it, give it the fixture ``place``, and all that a store promises is tested."""

    @pytest.fixture
    def store(self, place: Place) -> Store:
        return open_store(place.address)

    @pytest.fixture
    def other(self, place: Place) -> Store:
        """The same store, as another machine sees it."""
        return open_store(place.elsewhere)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", SIZES)
    def test_what_is_put_is_read_under_its_hash_everywhere(
        self, store: Store, other: Store, size: int, kind: str
    ) -> None:
        data = content(size, kind)
        id = store.put(data)
        assert id == id_of(data)
        assert store.read(id) == data
        assert other.read(id) == data

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [1, 1000, 70_000, 18 * MIB])
    def test_what_is_put_is_mapped_everywhere(self, store: Store, other: Store, size: int, kind: str) -> None:
        data = content(size, kind)
        id = store.put(data)
        assert bytes(store.map(id, size)) == data
        assert bytes(other.map(id, size)) == data

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_any_buffer_can_be_put(self, store: Store, kind: type) -> None:
        assert store.read(store.put(kind(b"abc"))) == b"abc"

    @pytest.mark.parametrize("size", [1000, 5 * MIB])
    def test_the_same_content_is_one_object(self, store: Store, other: Store, place: Place, size: int) -> None:
        data = content(size)
        assert store.put(data) == store.put(bytearray(data)) == other.put(data)
        assert place.objects() == [id_of(data)]

    def test_mappings_are_private_and_writable(self, store: Store, other: Store) -> None:
        data = content(MIB)
        id = store.put(data)
        for each in (store, other):
            one, two = each.map(id, MIB), each.map(id, MIB)
            one[:] = bytes(MIB)
            assert bytes(two) == data
            assert each.read(id) == data

    def test_the_page_tables_tell_whether_a_mapping_was_changed(self, store: Store, other: Store) -> None:
        id = store.put(content(MIB))
        for each in (store, other):
            view = each.map(id, MIB)
            mapped = mapping_of(view)
            assert mapped is not None
            assert mapped.origin == (each.url, id)
            assert is_unchanged(mapped)
            view[MIB // 2] ^= 1
            assert not is_unchanged(mapped)
            changed = each.put(view)
            assert changed != id
            assert each.read(changed) == bytes(view)

    def test_an_unchanged_mapping_whose_object_was_removed_is_written_again(
        self, other: Store, store: Store, place: Place
    ) -> None:
        id = store.put(content(5 * MIB))
        view = open_store(place.elsewhere).map(id, 5 * MIB)
        place.remove(id)
        assert other.put(view) == id
        assert place.objects() == [id]

    def test_all_that_is_put_in_a_block_can_be_read_after_it(self, store: Store, other: Store) -> None:
        parts = [content(size, kind) for kind in KINDS for size in (10, 1000, 70_000, MIB)]
        with store.writing() as batch:
            ids = [batch.put(bytearray(part)) for part in parts]
            assert batch.url == store.url
        assert ids == [id_of(part) for part in parts]
        assert [other.read(id) for id in ids] == parts

    def test_an_error_in_the_block_is_the_error(self, store: Store) -> None:
        def fail() -> None:
            with store.writing() as batch:
                batch.put(content(1000))
                raise CannotTravel(name="x", type="y", reason="z", hint="", where="")

        with pytest.raises(CannotTravel):
            fail()

    def test_what_is_prefetched_is_read_and_mapped_as_ever(self, store: Store, other: Store) -> None:
        parts = [content(size) for size in (10, 1000, 70_000, MIB, 20 * MIB)]
        ids = [store.put(part) for part in parts]
        other.prefetch([*((id, len(part)) for id, part in zip(ids, parts, strict=True)), (id_of(b"nothing"), None)])
        assert [other.read(id) for id in ids] == parts
        assert [bytes(other.map(id, len(part))) for id, part in zip(ids, parts, strict=True)] == parts

    def test_what_one_process_had_another_accepts(self, store: Store, other: Store) -> None:
        ids = [store.put(b"small"), store.put(content(MIB))]
        other.accept(store.recent([*ids, id_of(b"nothing")]))
        assert other.read(ids[0]) == b"small"

    def test_what_is_accepted_is_not_believed(self, store: Store) -> None:
        id = store.put(b"right")
        fresh = open_store(store.url)
        fresh.accept({id: b"wrong"})
        assert fresh.read(id) == b"right"

    def test_a_missing_object_is_missing(self, store: Store) -> None:
        id = id_of(b"never put")
        for ask in (store.read, lambda id: store.map(id, 9)):
            with pytest.raises(ArtifactMissing) as caught:
                ask(id)
            assert (caught.value.id, caught.value.store) == (id, store.url)

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize("size", [1000, 70_000, 18 * MIB])
    def test_reading_a_damaged_object_is_an_error_and_never_other_bytes(
        self, store: Store, other: Store, place: Place, size: int, kind: str
    ) -> None:
        id = store.put(content(size, kind))
        place.damage(id)
        with pytest.raises(ArtifactCorrupt, match=id):
            other.read(id)

    @pytest.mark.parametrize("size", [99_999, 100_001])
    def test_mapping_an_object_as_of_another_size_is_an_error(self, store: Store, other: Store, size: int) -> None:
        id = store.put(content(100_000))
        for each in (store, other):
            with pytest.raises(ArtifactCorrupt, match=rf"100,000 bytes instead of {size:,}"):
                each.map(id, size)

    def test_verify_looks_at_every_object(self, store: Store, place: Place) -> None:
        good = [store.put(content(size, kind)) for size in (0, 10, 100_000, 20 * MIB) for kind in KINDS]
        bad = [store.put(content(size, kind)) for size in (1000, 18 * MIB) for kind in KINDS]
        for id in bad:
            place.damage(id)
        found = dict(store.verify())
        assert sorted(found) == sorted({*good, *bad})
        assert all(found[id] is None for id in good)
        for id in bad:
            assert isinstance(found[id], ArtifactCorrupt), found[id]
            assert found[id].id == id

    def test_all_objects_are_listed_and_some_removed(self, store: Store, other: Store, place: Place) -> None:
        began = time.time()
        ids = [store.put(content(size, "repetitive")) for size in (0, 10, 100_000)]
        assert [other.read(id)[:1] for id in ids] == [b"", b"a", b"a"]
        found = {each.id: each for each in store.objects()}
        assert sorted(found) == sorted(ids)
        assert all(0 <= each.size <= 100_000 for each in found.values())
        assert all(began - 5 < each.changed < time.time() + 5 for each in found.values())
        store.remove([ids[1], "0" * 64])
        assert place.objects() == sorted([ids[0], ids[2]])
        assert store.put(content(10, "repetitive")) == ids[1]
        assert place.objects() == sorted(ids)

    def test_many_processes_write_the_same_objects_at_once(self, store: Store, place: Place) -> None:
        command = [sys.executable, "-c", WRITER, place.address]
        writers = [
            subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(4)
        ]
        for writer in writers:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "ready\n"
        for writer in writers:
            assert writer.stdin is not None
            writer.stdin.write("x")
            writer.stdin.flush()
        told = {writer.communicate(timeout=100)[0] for writer in writers}
        assert [writer.returncode for writer in writers] == [0] * 4
        assert len(told) == 1
        assert sorted(set(told.pop().split())) == place.objects()
        assert not [error for _, error in store.verify() if error is not None]

    def test_a_writer_killed_in_the_middle_leaves_no_half_object(self, store: Store, place: Place) -> None:
        for _ in range(6):
            writer = subprocess.Popen([sys.executable, "-c", ENDLESS, place.address], stdout=subprocess.PIPE, text=True)
            assert writer.stdout is not None
            first = writer.stdout.readline().strip()
            while not place.leavings():
                assert writer.poll() is None
            writer.kill()
            writer.wait()
            writer.stdout.close()
            assert len(store.read(first)) == 1000
            if place.leavings():
                break
        assert place.leavings(), "no writer was hit in the middle of a write: the test has shown nothing"
        assert not [error for _, error in store.verify() if error is not None]
        assert store.sweep(3600.0) == 0
        assert store.sweep(-1.0) > 0
        assert place.leavings() == 0

    def test_a_forked_child_has_connections_of_its_own(self, store: Store, place: Place) -> None:
        prepare_fork(place.address)
        before = store.put(b"before the fork")
        pid = os.fork()
        if pid == 0:
            try:
                right = store.read(before) == b"before the fork" and len(store.put(b"in the child")) == 64
                os._exit(0 if right else 1)
            finally:
                os._exit(2)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
        assert store.read(id_of(b"in the child")) == b"in the child"
        assert len(place.objects()) == 2


class TestLocalStore(StoreContract):
    @pytest.fixture
    def place(self, tmp_path: Path) -> Place:
        return Folder(tmp_path / "store")

    def test_its_address_is_its_folder(self, tmp_path: Path) -> None:
        assert isinstance(open_store(str(tmp_path)), LocalStore)


class TestS3Store(StoreContract):
    @pytest.fixture
    def place(self, bucket: Bucket, tmp_path: Path) -> Place:
        return InBucket(bucket, tmp_path)

    def test_what_shrinks_is_stored_smaller_and_what_does_not_is_stored_raw(self, place: InBucket) -> None:
        store = open_store(place.address)
        for kind, size in (("repetitive", MIB), ("repetitive", 70 * MIB), ("random", MIB)):
            data = content(size, kind)
            key = place._key(store.put(data))
            stored = place.bucket.content(key)
            if kind == "random":
                assert stored == data
                assert place.bucket.metadata(key) == {}
            else:
                assert len(stored) < size // 10
                assert place.bucket.metadata(key) == {"cellyard-zstd": str(size)}

    @pytest.mark.parametrize("size", [1000, 2 * MIB])
    def test_an_old_object_that_is_put_again_counts_as_new(self, place: InBucket, size: int) -> None:
        store = S3Store(parse_bucket(place.address))
        data = content(size, "repetitive")
        id = store.put(data)
        [key], [before] = place.bucket.listed(), list(store.objects())
        metadata = place.bucket.metadata(key)
        until(lambda: time.time() > before.changed + 1.1, "the server's clock shows another second")
        line = store._lined()
        transfer = Transfer(line.connection, line.requests, lambda id: key, old=0.05)
        line.connection.run(transfer.send(id, memoryview(data)))
        [after] = store.objects()
        assert after.changed > before.changed
        assert (place.bucket.listed(), place.bucket.metadata(key)) == ([key], metadata)
        assert open_store(place.elsewhere).read(id) == data
