"""Which of the floats that are not a number a value has, is the same where it arrives."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cellyard.artifacts.artifact import load, pack
from cellyard.artifacts.store import LocalStore

OF_NUMPY, OF_MATH = np.nan, math.nan


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    return LocalStore(tmp_path)


def travelled(value: Any, store: LocalStore) -> Any:
    [reference] = pack({"value": value}, {}, store)
    return load(store, reference.to_dict())["value"]


def test_that_of_numpy_and_that_of_math_are_found_and_others_stay_apart(store: LocalStore):
    own, other = float("nan"), float("nan")
    there = travelled([np.nan, math.nan, own, other, own, -own, 248.0, "\xf8\0\0\0\0\0\0"], store)
    assert there[0] is OF_NUMPY
    assert there[1] is OF_MATH
    assert there[2] is there[4]
    assert len({id(each) for each in there[:6]}) == 5
    assert there[6:] == [248.0, "\xf8\0\0\0\0\0\0"]
    assert there.index(there[4]) == 2


def test_arrays_of_objects_say_where_numpys_is(store: LocalStore):
    objects = np.array([[np.nan, None, "a"], [float("nan"), 2.5, np.nan]], dtype=object)
    for array in (objects, objects.T, objects[:, ::2], objects[::-1], objects[0]):
        there = travelled(array, store)
        assert there.shape == array.shape
        assert [each is OF_NUMPY for each in there.flat] == [each is OF_NUMPY for each in array.flat]
        assert [str(each) for each in there.flat] == [str(each) for each in array.flat]
    assert objects[0, 0] is OF_NUMPY, "the array itself was changed"
    many = np.array(["x", np.nan, None] * 50_000, dtype=object)
    assert [each is OF_NUMPY for each in travelled(many, store)] == [False, True, False] * 50_000


def test_the_same_value_is_the_same_artifact(store: LocalStore):
    def value() -> Any:
        return {"given": [np.nan, float("nan")], "town": np.array(["a", np.nan], dtype=object)}

    [one], [other] = (pack({"value": value()}, {}, store) for _ in range(2))
    assert one.id == other.id
