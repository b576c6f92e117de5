"""Every follower sees its events in the order of their numbers, each once, none missing."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from cellyard.execution import hub as hub_module
from cellyard.execution.hub import Event, EventFilter, Hub, Slot, Subscription

ALL = EventFilter()


def publish(hub: Hub, kind: str = "output", *, run: int = 1, step_id: int | None = 1) -> Event:
    return hub.publish(kind, {"n": hub.last}, run=run, step="s", step_id=step_id, attempt=1)


def fill(hub: Hub, slot: Slot) -> Event:
    event = Event(slot.seq, slot.about[0], "s", slot.about[1], 1, 0.0, "finished", {})
    hub.fill(slot, event)
    return event


def taken(subscription: Subscription) -> list[int]:
    found = []
    while (slot := subscription.take()) is not None:
        found.append(slot.seq)
    return found


def test_events_are_numbered_without_a_gap():
    hub = Hub(first=7)
    assert [publish(hub).seq for _ in range(3)] == [7, 8, 9]


def test_numbering_never_goes_back():
    hub = Hub()
    publish(hub)
    hub.start_at(100)
    assert publish(hub).seq == 100
    hub.start_at(5)
    assert publish(hub).seq == 101


async def test_a_follower_gets_what_it_asked_for():
    hub = Hub()
    everything, one_run = hub.subscribe(ALL), hub.subscribe(EventFilter(run=2))
    one_step = hub.subscribe(EventFilter(run=2, step_id=5))
    publish(hub, run=1)
    publish(hub, run=2, step_id=4)
    publish(hub, run=2, step_id=5)
    assert (taken(everything), taken(one_run), taken(one_step)) == ([1, 2, 3], [2, 3], [3])


async def test_a_reserved_event_holds_back_later_ones_until_it_is_told():
    hub = Hub()
    follower = hub.subscribe(ALL)
    slot = hub.reserve(1, 1)
    publish(hub)
    assert taken(follower) == []
    fill(hub, slot)
    assert taken(follower) == [1, 2]


async def test_a_reserved_event_holds_back_nobody_whom_it_does_not_concern():
    hub = Hub()
    other = hub.subscribe(EventFilter(run=2))
    hub.reserve(1, 1)
    publish(hub, run=2)
    assert taken(other) == [2]


async def test_a_dropped_number_is_passed_over():
    hub = Hub()
    follower = hub.subscribe(ALL)
    slot = hub.reserve(1, 1)
    publish(hub)
    hub.drop(slot)
    assert taken(follower) == [2]


async def test_who_comes_while_an_event_is_reserved_is_told_it_too():
    hub = Hub()
    publish(hub)
    slot = hub.reserve(1, 1)
    publish(hub)
    late = hub.subscribe(ALL)
    assert late.start == 1, "what came before must be read from the records"
    fill(hub, slot)
    assert taken(late) == [2, 3]


async def test_a_follower_that_is_too_slow_is_sent_to_the_records(monkeypatch):
    monkeypatch.setattr(hub_module, "_MOST_WAITING", 10)
    hub = Hub()
    slow, fast = hub.subscribe(ALL), hub.subscribe(ALL)
    for _ in range(11):
        publish(hub)
        taken(fast)
    assert slow.overflowed
    assert slow.closed
    assert not fast.overflowed
    assert hub.followers == 1


async def test_waiting_ends_with_an_event_the_end_or_the_time():
    hub = Hub()
    follower = hub.subscribe(ALL)
    assert not await follower.wait(0.01)
    publish(hub)
    assert await follower.wait(10)
    taken(follower)
    hub.close()
    assert await follower.wait(10)


def test_the_private_part_is_kept_aside():
    hub = Hub()
    slot = hub.reserve(1, 1)
    event = Event(slot.seq, 1, "s", 1, 1, 0.0, "finished", {})
    hub.fill(slot, event, private="hush")
    assert b"hush" not in slot.encoded()
    assert hub.private(slot.seq) == "hush"
    assert b"hush" in hub_module.encode(event, private="hush")


@given(st.lists(st.sampled_from(["publish", "reserve", "fill", "drop", "subscribe", "take"]), max_size=60))
async def test_whatever_happens_a_follower_misses_nothing_after_its_start(actions):
    hub = Hub()
    open_slots: list[Slot] = []
    told: set[int] = set()
    followers: list[tuple[Subscription, list[int]]] = []
    for action in [*actions, *["fill"] * len(actions), "take"]:
        if action == "publish":
            told.add(publish(hub).seq)
        elif action == "reserve":
            open_slots.append(hub.reserve(1, 1))
        elif action == "fill" and open_slots:
            told.add(fill(hub, open_slots.pop()).seq)
        elif action == "drop" and open_slots:
            hub.drop(open_slots.pop(0))
        elif action == "subscribe":
            followers.append((hub.subscribe(ALL), []))
        elif action == "take":
            for follower, seen in followers:
                seen.extend(taken(follower))
    for follower, seen in followers:
        assert seen == sorted(seq for seq in told if seq > follower.start)
