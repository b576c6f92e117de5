"""What a step is said to wait for."""

from __future__ import annotations

import math
from collections.abc import Sequence

from cellyard.execution.waiting import Occupancy, Occupant
from cellyard.model import Resources

GIB = 1 << 30
TRAIN = Occupant("train", 3, Resources(cpu=2, memory=2 * GIB))


def waits_for(wanted: Resources, occupants: Sequence[Occupant], capacity: Resources) -> str:
    """What a step of that size waits for beside these."""
    found = Occupancy(capacity)
    for each in occupants:
        found.add(each)
    return found.short_for(wanted)


def test_who_has_what_is_short_is_named() -> None:
    assert waits_for(Resources(cpu=1), [TRAIN], Resources(cpu=2)) == "1 CPU; step 'train' (run 3) has 2 CPU of 2 CPU"


def test_a_step_waits_for_none_where_there_is_room() -> None:
    assert waits_for(Resources(cpu=1), [TRAIN], Resources(cpu=4)) == ""
    assert waits_for(Resources(cpu=1), [], Resources(cpu=1)) == ""


def test_what_has_no_limit_is_never_short() -> None:
    wanted = Resources(cpu=64, memory=2 * GIB)
    assert waits_for(wanted, [TRAIN], Resources(cpu=math.inf)) == ""
    assert "2GiB" in waits_for(wanted, [TRAIN], Resources(cpu=math.inf, memory=3 * GIB)).replace(" ", "")
