"""Which objects may go."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from cellyard.artifacts import load, pack
from cellyard.artifacts.garbage import find_garbage
from cellyard.artifacts.store import LocalStore
from cellyard.errors import ArtifactMissing

NOW = time.time()
DAY = 86400.0


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def kept(store: LocalStore, name: str, size: int, *, days: float) -> str:
    """The id of an artifact of a value, all of whose objects are that old."""
    before = {each.id for each in store.objects()}
    [reference] = pack({name: bytearray(os.urandom(size))}, {}, store)
    for each in store.objects():
        if each.id not in before:
            os.utime(store.path(each.id), (NOW - days * DAY,) * 2)
    return reference.id


def test_what_is_spoken_of_stays_whole_and_the_rest_goes(store: LocalStore):
    old, new = kept(store, "old", 200_000, days=40), kept(store, "new", 200_000, days=40)
    found = find_garbage(store, {old: NOW - 40 * DAY, new: NOW - DAY}, since=NOW - 30 * DAY)
    assert found.artifacts == (old,)
    assert found.size > 200_000
    store.remove(found.ids)
    assert len(load(store, {"id": new})["new"]) == 200_000
    with pytest.raises(ArtifactMissing):
        load(store, {"id": old})
    assert all(error is None for _, error in store.verify())


def test_what_is_young_stays_though_nobody_speaks_of_it(store: LocalStore):
    kept(store, "young", 1000, days=0)
    assert find_garbage(store, {}, since=NOW).ids == ()


def test_of_too_much_the_newest_stay(store: LocalStore):
    ids = [kept(store, f"n{day}", 100_000, days=9) for day in range(4)]
    references = {id: NOW - day * DAY for day, id in enumerate(ids)}
    found = find_garbage(store, references, since=NOW - 30 * DAY, most=250_000)
    assert set(found.artifacts) == set(ids[2:])
