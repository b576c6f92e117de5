"""When two values are the same."""

from __future__ import annotations

import copy
import datetime
import enum
import math
import random

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.exporters.likeness import likeness


class Colour(enum.Enum):
    RED = 1
    BLUE = 2


class Point:
    def __init__(self, x, y):
        self.x, self.y = x, y


class Opaque:
    def __reduce_ex__(self, protocol):
        raise TypeError("never")


def circle():
    ring = [1]
    ring.append(ring)
    return ring


FRAME = pd.DataFrame({"a": [1.0, np.nan], "b": pd.Categorical(["x", "y"]), "c": pd.to_datetime(["2026-01-01", None])})
EQUAL = [
    (1, 1),
    (math.nan, math.nan),
    ([1, "a", None, b"x"], [1, "a", None, b"x"]),
    ({"a": {1, 2}}, {"a": {2, 1}}),
    (Colour.RED, Colour.RED),
    (Point(1, [2]), Point(1, [2])),
    (circle(), circle()),
    (np.array([1.0, np.nan]), np.array([1.0, np.nan])),
    (np.array([1, "a"], dtype=object), np.array([1, "a"], dtype=object)),
    (FRAME, FRAME.copy()),
    (FRAME["a"], FRAME["a"].copy()),
    (pd.MultiIndex.from_tuples([(1, "a")]), pd.MultiIndex.from_tuples([(1, "a")])),
    (random.Random(3), random.Random(3)),
    (np.random.default_rng(3), np.random.default_rng(3)),
    (datetime.date(2026, 1, 1), datetime.date(2026, 1, 1)),
    (lambda x: x + 1, lambda x: x + 1),
    (Opaque(), Opaque()),
    (np, np),
]
DIFFERENT = [
    (1, 1.0, "builtins.int and builtins.float"),
    (1, True, "builtins.int and builtins.bool"),
    ([1, 2], [1, 3], r"\[1\]: 2 and 3"),
    ([1], [1, 2], "1 and 2 items"),
    ({"a": 1}, {"b": 1}, "'a' and 'b'"),
    ({"a": 1.0}, {"a": 1.1}, r"\['a'\]: 1.0 and 1.1"),
    (0.0, 1e-30, "0.0 and 1e-30"),
    (math.inf, -math.inf, "inf"),
    (math.nan, 1.0, "nan"),
    (Colour.RED, Colour.BLUE, "RED"),
    (Point(1, [2]), Point(1, [3]), "2 and 3"),
    (np.zeros(3), np.zeros(4), r"\(3,\)"),
    (np.zeros(3), np.zeros(3, "f4"), "float32"),
    (np.array([1.0, 2.0]), np.array([1.0, 2.1]), "1 of 2 numbers differ"),
    (np.array([1, 2]), np.array([1, 3]), "1 elements differ"),
    (FRAME, FRAME.assign(a=[1.0, 2.0]), "a"),
    (FRAME, FRAME.rename(columns={"a": "z"}), "columns"),
    (FRAME, FRAME.set_index("a"), "columns"),
    (random.Random(3), random.Random(4), ""),
    (np.random.default_rng(3), np.random.default_rng(4), ""),
    (lambda x: x + 1, lambda x: x + 2, "1 and 2"),
]


@pytest.mark.parametrize(("first", "second"), EQUAL)
def test_what_is_made_of_the_same_is_equal(first, second):
    assert likeness(first, second).kind == "equal"


@pytest.mark.parametrize(("first", "second", "where"), DIFFERENT)
def test_what_differs_is_told_with_its_place(first, second, where):
    import re

    for one, other in ((first, second), (second, first)):
        found = likeness(one, other)
        assert found.kind == "different"
    assert re.search(where, likeness(first, second).where), likeness(first, second).where


def test_numbers_may_differ_by_the_order_in_which_they_were_added():
    values = [0.1] * 10
    found = likeness({"sum": sum(values)}, {"sum": math.fsum(values)})
    assert found.kind == "close"
    assert 0 < found.largest < 1e-15
    array = np.linspace(1, 2, 50)
    assert likeness(array, array * (1 + 1e-13)).kind == "close"
    assert likeness(array, array * (1 + 1e-7)).kind == "different"
    assert likeness(array.astype("f4"), (array * (1 + 1e-7)).astype("f4")).kind in ("close", "equal")


def test_figures_are_what_they_show():
    def drawn(last: float):
        figure, axis = plt.subplots(figsize=(2, 2))
        axis.plot([0, 1, last])
        plt.close(figure)
        return figure

    assert likeness(drawn(2), drawn(2)).kind == "equal"
    assert likeness(drawn(2), drawn(-9)).kind == "different"


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
        max_leaves=15,
    )
)
def test_a_copy_is_equal_and_a_wrapped_one_is_not(value):
    assert likeness(value, copy.deepcopy(value)).kind == "equal"
    assert likeness(value, [value]).kind == "different"
