"""Entries are written once, and only one of many has the turn."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from cellyard.artifacts.entries import entries_of
from cellyard.environment.claims import Claim


def test_an_entry_is_written_once(store):
    entries = entries_of(store)
    assert entries.read("packages/one") is None
    assert entries.write_once("packages/one", b"first")
    assert not entries.write_once("packages/one", b"second")
    assert entries.write_once("packages/one", b"first")  # one who asks again after a lost answer has won, too
    assert entries.read("packages/one") == b"first"


def test_of_many_writers_one_wins(store):
    entries = entries_of(store)
    with ThreadPoolExecutor(8) as threads:
        won = list(threads.map(lambda number: entries.write_once("packages/raced", b"%d" % number), range(16)))
    assert won.count(True) == 1
    assert entries.read("packages/raced") == b"%d" % won.index(True)


def test_only_one_has_the_turn_until_it_gives_up(store):
    entries = entries_of(store)
    first, second = Claim(entries, "claims/a"), Claim(entries, "claims/a")
    assert first.take()
    assert not second.take()
    with pytest.raises(ValueError, match="it failed"), first.held():
        raise ValueError("it failed")
    assert second.take()
    assert not first.take()


def test_a_silent_claim_is_taken_over_and_a_living_one_is_not(store):
    entries = entries_of(store)
    silent, living = Claim(entries, "claims/silent"), Claim(entries, "claims/living", renew_every=0.05)
    assert silent.take()
    assert living.take()
    waiters = [Claim(entries, name, silence=0.4) for name in ("claims/silent", "claims/living")]
    assert not any(each.take() for each in waiters)
    with living.held():
        pause, taken = threading.Event(), []
        while not taken:
            pause.wait(0.05)
            taken = [each for each in waiters if each.take()]
    assert taken == [waiters[0]]
