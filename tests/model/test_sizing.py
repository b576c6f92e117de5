"""Which size to ask for, from what attempts used."""

from __future__ import annotations

import pytest

from cellyard.model import Resources
from cellyard.model.prices import Prices
from cellyard.model.sizing import Evidence, propose

MIB, GIB = 1 << 20, 1 << 30


def attempt(peak: int, *, state: str = "succeeded", memory: int | None = None, cpu: float = 1, **more: float | str):
    return Evidence(1, state, Resources(cpu, memory), peak=peak, **more)


def test_nothing_is_proposed_where_nothing_is_known():
    assert propose([]).memory is None
    assert propose([attempt(5, state="failed")]).memory is None


def test_memory_is_the_largest_peak_and_a_quarter_more_rounded_up():
    found = propose([attempt(1900 * MIB), attempt(2 * GIB)])
    assert found.memory == int(2.5 * GIB)
    assert found.because == "it used at most 1.9 GiB, 2 GiB in 2 runs"
    assert propose([attempt(1000)]).memory == 256 * MIB


def test_what_did_not_suffice_is_doubled_until_a_run_shows_what_does():
    failed = attempt(GIB, state="failed", memory=GIB, failure="StepOutOfMemory")
    assert propose([failed]).memory == 2 * GIB
    assert propose([failed, attempt(900 * MIB)]).memory == 2 * GIB
    assert propose([attempt(1200 * MIB, memory=2 * GIB), failed]).memory == int(1.5 * GIB)


def test_cpus_follow_how_many_were_busy():
    busy = Evidence(1, "succeeded", Resources(8), peak=1, cpu=24.0, seconds=10.0)
    assert propose([busy]).cpu == 3
    full = Evidence(1, "succeeded", Resources(4), peak=1, cpu=39.0, seconds=10.0)
    assert propose([full]).cpu == 8
    assert "more might help" in propose([full]).because
    short = Evidence(1, "succeeded", Resources(4), peak=1, cpu=0.1, seconds=0.2)
    assert propose([short]).cpu is None


def test_costs_are_size_times_time_times_price():
    prices = Prices(cpu=0.05, memory=0.01, gpu=2.0, currency="EUR")
    assert prices.cost(Resources(4, 8 * GIB, 1), 1800) == pytest.approx((0.2 + 0.08 + 2) / 2)
    assert prices.cost(Resources(1), 3600, peak=2 * GIB) == pytest.approx(0.07)
    assert prices.words(1.2345) == "1.23 EUR"
    assert not Prices()
    assert Prices.from_dict(prices.to_dict()) == prices
