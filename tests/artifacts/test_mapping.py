"""Private mappings: loading costs no copy, changing costs the store nothing, and the page tables tell which it was."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from cellyard.artifacts.mapping import PAGE, is_unchanged, mapping_of, unchanged_blob
from cellyard.artifacts.store import LocalStore
from cellyard.worker.memory import anonymous_memory

SIZE = (5 << 20) + 123  # not a whole number of pages


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path / "store")


@pytest.fixture
def stored(store: LocalStore) -> str:
    return store.put(os.urandom(SIZE))


def looks_unchanged(view: memoryview) -> bool:
    mapped = mapping_of(view)
    assert mapped is not None
    return is_unchanged(mapped)


def test_a_mapping_shows_the_object(store: LocalStore, stored: str) -> None:
    assert bytes(store.map(stored, SIZE)) == store.read(stored)


def test_changing_a_mapping_changes_neither_the_store_nor_another_mapping(store: LocalStore, stored: str) -> None:
    before, one, other = store.read(stored), store.map(stored, SIZE), store.map(stored, SIZE)
    one[:] = bytes(SIZE)
    assert store.read(stored) == bytes(other) == before
    assert not any(error for _, error in store.verify())


def test_reading_every_page_leaves_a_mapping_unchanged(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    assert looks_unchanged(view)
    assert sum(view) > 0
    assert int(np.frombuffer(view, dtype=np.uint8).sum()) == sum(view)
    assert looks_unchanged(view)


@pytest.mark.parametrize("place", [0, 1, PAGE - 1, PAGE, 3 << 20, SIZE - 1])
def test_one_byte_written_is_seen_wherever_it_is(store: LocalStore, stored: str, place: int) -> None:
    view = store.map(stored, SIZE)
    view[place] ^= 0xFF
    assert not looks_unchanged(view)


def test_a_byte_written_before_any_other_was_read_is_seen(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    other = store.map(stored, SIZE)
    view[SIZE // 2] = 0
    assert not looks_unchanged(view)
    assert looks_unchanged(other)


def test_writing_the_byte_that_was_there_may_count_but_stores_the_same_object(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    view[7] = view[7]
    assert store.put(view) == stored


def test_a_change_made_by_a_forked_child_is_not_ours(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    pid = os.fork()
    if pid == 0:
        view[0] ^= 1
        os._exit(0 if not looks_unchanged(view) else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    assert looks_unchanged(view)


def test_an_unchanged_mapping_is_not_written_again(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    before = Path(store.path(stored)).stat()
    assert store.put(view) == stored
    after = Path(store.path(stored)).stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_changed_mapping_is_a_new_object(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    view[5] ^= 1
    new = store.put(view)
    assert new != stored
    assert store.read(new) == bytes(view)


def test_an_unchanged_mapping_of_another_store_is_written_here(store: LocalStore, stored: str, tmp_path: Path) -> None:
    view = store.map(stored, SIZE)
    other = LocalStore(tmp_path / "other")
    assert unchanged_blob(view, other.url) is None
    assert other.read(other.put(view)) == bytes(view)


def test_an_unchanged_mapping_of_an_object_that_was_removed_is_written_again(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    Path(store.path(stored)).unlink()
    assert store.put(view) == stored
    assert store.read(stored) == bytes(view)


def test_a_part_of_a_mapping_is_not_taken_for_the_whole(store: LocalStore, stored: str) -> None:
    view = store.map(stored, SIZE)
    part = view[: SIZE - 1]
    assert mapping_of(part) is None
    assert mapping_of(view[PAGE:]) is None
    assert store.put(part) != stored


def test_a_mapping_that_nobody_holds_is_gone(store: LocalStore, stored: str) -> None:
    path = store.path(stored)
    view = store.map(stored, SIZE)
    assert path in Path("/proc/self/maps").read_text()
    del view
    assert path not in Path("/proc/self/maps").read_text()


def test_mapping_and_reading_take_no_memory_of_ones_own(store: LocalStore) -> None:
    size = 64 << 20
    id = store.put(bytes(size))
    before = anonymous_memory(os.getpid())
    view = np.frombuffer(store.map(id, size), dtype=np.uint8)
    assert view.sum() == 0
    assert anonymous_memory(os.getpid()) - before < size // 4
    view[:] = 1
    assert anonymous_memory(os.getpid()) - before > size // 2
