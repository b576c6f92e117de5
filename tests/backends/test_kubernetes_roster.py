"""Which worker for which step: nothing waits that could run, nobody starves, nothing is kept for nobody."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from cellyard.backends.dask_on_kubernetes.roster import AGE, Limits, WaitingStep, WorkerFacts, decide
from cellyard.backends.dask_on_kubernetes.shapes import Shape

GIB = 1 << 30
SMALL, LARGE = Shape(1.0, GIB), Shape(4.0, 8 * GIB)
NOW = 1000.0


def step(token: str, shape: Shape = SMALL, *, position: int = 1, priority: int = 0, since: float = NOW) -> WaitingStep:
    return WaitingStep(token, shape, position, since, priority)


def worker(
    name: str, state: str = "idle", shape: Shape = SMALL, *, idle_since: float = NOW, short: bool = False
) -> WorkerFacts:
    return WorkerFacts(name, shape, state, idle_since, short)


def test_a_warm_worker_of_the_shape_is_used() -> None:
    decided = decide([step("a")], [worker("w1", shape=LARGE), worker("w2")], Limits(), NOW)
    assert decided.assign == {"a": "w2"}
    assert not decided.create
    assert not decided.delete


def test_the_worker_that_was_used_last_is_used_again() -> None:
    workers = [worker("old", idle_since=NOW - 100), worker("fresh", idle_since=NOW - 1)]
    assert decide([step("a")], workers, Limits(), NOW).assign == {"a": "fresh"}


def test_without_one_a_worker_is_created_and_then_awaited_once() -> None:
    assert decide([step("a")], [], Limits(), NOW).create == {"a": SMALL}
    decided = decide([step("a"), step("b", position=2)], [worker("w1", "starting")], Limits(), NOW)
    assert decided.await_ == {"a": "w1"}
    assert decided.create == {"b": SMALL}


def test_shapes_side_by_side() -> None:
    decided = decide([step("a"), step("b", LARGE, position=2)], [worker("w1")], Limits(), NOW)
    assert decided.assign == {"a": "w1"}
    assert decided.create == {"b": LARGE}


def test_what_has_no_room_waits_and_those_behind_it_too() -> None:
    steps = [step("large", LARGE), step("small", position=2)]
    decided = decide(steps, [worker("w1", "busy")], Limits(cpu=4.0), NOW)
    assert not decided.create
    assert not decided.assign
    assert decided.later is not None


def test_idle_workers_make_room_the_longest_idle_first() -> None:
    workers = [worker("w1", idle_since=NOW - 10), worker("w2", idle_since=NOW - 20), worker("w3", "busy")]
    decided = decide([step("large", LARGE)], workers, Limits(cpu=6.0), NOW)
    assert decided.delete == ["w2"]
    assert decided.create == {"large": LARGE}


def test_a_worker_that_the_cluster_has_no_room_for_gets_room_from_idle_ones() -> None:
    workers = [worker("w1"), worker("w2", "starting", LARGE, short=True)]
    decided = decide([step("large", LARGE)], workers, Limits(), NOW)
    assert decided.await_ == {"large": "w2"}
    assert decided.delete == ["w1"]


def test_a_worker_that_cannot_start_and_that_nobody_waits_for_goes() -> None:
    workers = [worker("w1", "starting", short=True), worker("w2", "starting")]
    assert decide([], workers, Limits(), NOW).delete == ["w1"]


def test_the_number_of_workers_is_bounded() -> None:
    decided = decide([step("a"), step("b", position=2), step("c", position=3)], [], Limits(workers=2), NOW)
    assert set(decided.create) == {"a", "b"}


def test_higher_priority_goes_first_and_then_the_earlier_one() -> None:
    steps = [step("a", position=1), step("b", position=2, priority=5), step("c", position=3, priority=5)]
    assert decide(steps, [worker("w1")], Limits(workers=1), NOW).assign == {"b": "w1"}


def test_waiting_counts_as_priority_so_that_none_starves() -> None:
    steps = [step("old", position=1, since=NOW - 6 * AGE), step("new", position=2, priority=5)]
    assert decide(steps, [worker("w1")], Limits(workers=1), NOW).assign == {"old": "w1"}


def test_what_is_idle_for_long_goes() -> None:
    workers = [worker("w1", idle_since=NOW - 301), worker("w2", idle_since=NOW - 100)]
    decided = decide([], workers, Limits(idle=300.0), NOW)
    assert decided.delete == ["w1"]
    assert decided.later == 200.0


shapes = st.sampled_from([SMALL, LARGE, Shape(0.5, GIB, gpu=1)])
steps = st.lists(st.tuples(shapes, st.integers(-3, 3), st.floats(0, 1000)), max_size=8).map(
    lambda rows: [step(f"s{n}", s, position=n, priority=p, since=t) for n, (s, p, t) in enumerate(rows)]
)
workers = st.lists(
    st.tuples(shapes, st.sampled_from(["starting", "idle", "busy"]), st.floats(0, 1000), st.booleans()), max_size=8
).map(
    lambda rows: [
        worker(f"w{n}", state, s, idle_since=t, short=short and state == "starting")
        for n, (s, state, t, short) in enumerate(rows)
    ]
)
limits = st.builds(
    Limits,
    cpu=st.sampled_from([4.0, 8.0, 16.0]),
    memory=st.sampled_from([8.0 * GIB, 64.0 * GIB]),
    gpu=st.sampled_from([1.0, 4.0]),
    workers=st.integers(1, 6),
    idle=st.just(300.0),
)


@settings(deadline=None)
@given(steps, workers, limits)
def test_decisions_always_hold_together(steps, workers, limits) -> None:
    decided = decide(steps, workers, limits, NOW)
    by_name = {each.name: each for each in workers}
    by_token = {each.token: each for each in steps}
    # No step twice, no worker twice, and only where it fits.
    placed = [*decided.assign, *decided.await_, *decided.create]
    assert len(placed) == len(set(placed))
    used = [*decided.assign.values(), *decided.await_.values()]
    assert len(used) == len(set(used))
    assert not set(used) & set(decided.delete)
    for token, name in {**decided.assign, **decided.await_}.items():
        assert by_token[token].shape == by_name[name].shape
        assert by_name[name].state == ("idle" if token in decided.assign else "starting")
    assert all(by_name[name].state != "busy" for name in decided.delete)
    # What is created stays within the limits, together with what stays.
    if decided.create:
        kept = [each.shape for each in workers if each.name not in decided.delete] + list(decided.create.values())
        assert len(kept) <= limits.workers
        assert sum(each.cpu for each in kept) <= limits.cpu
        assert sum(each.memory for each in kept) <= limits.memory
        assert sum(each.gpu for each in kept) <= limits.gpu


@settings(deadline=None)
@given(steps, limits)
def test_with_nothing_else_there_the_first_step_always_gets_a_worker(steps, limits) -> None:
    if steps and all(each.shape.resources.fits(limits.capacity()) for each in steps):
        assert decide(steps, [], limits, NOW).create
