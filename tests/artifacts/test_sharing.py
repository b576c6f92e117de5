"""Which names share something that can change: one line of notebook in, the expected groups out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from cellyard.artifacts.memory import owner_of
from cellyard.artifacts.sharing import alias_groups, find_sharing

PRELUDE = """
import array, collections, dataclasses, enum, functools, types
import numpy as np, pandas as pd
class Box:
    def __init__(self, *content): self.content = content
    def method(self): return self
class Slotted:
    __slots__ = ("content",)
    def __init__(self, content): self.content = content
@dataclasses.dataclass
class Data:
    content: object
class Colour(enum.Enum):
    RED = [1]
def closure(content):
    def inner(): return content
    return inner
def plain(): return 1
def counter():
    n = 0
    def up():
        nonlocal n
        n += 1
    def get(): return n
    return up, get
"""

SHARED = {
    "one list by two names": "x = [1]; y = x",
    "a list in a list": "x = [1]; y = [x]",
    "a list deep inside": "x = [1]; y = {'a': [({'b': x},)]}",
    "a common part": "part = [1]; x = [part, 1]; y = {'p': part}; del part",
    "a set": "x = {1}; y = [x]",
    "a bytearray": "x = bytearray(b'1'); y = [x]",
    "an array.array": "x = array.array('d', [1]); y = {'a': x}",
    "a deque": "x = collections.deque(); y = (x,)",
    "a dict as another's value": "x = {}; y = {'x': x}",
    "the same tuple around a list": "x = ([1],); y = x",
    "two tuples around a list": "part = [1]; x = (part,); y = (part, 2); del part",
    "an object's attribute": "x = [1]; y = Box(x)",
    "a slot": "x = [1]; y = Slotted(x)",
    "a dataclass field": "x = [1]; y = Data(x)",
    "two objects with a common part": "part = {}; x = Box(part); y = Box(part); del part",
    "a cycle": "x = []; y = [x]; x.append(y)",
    "a bound method and its object": "x = Box(1); y = x.method",
    "two methods of one object": "b = Box(1); x = b.method; y = b.method; del b",
    "a partial's argument": "x = [1]; y = functools.partial(max, x)",
    "a closure's cell": "x = [1]; y = closure(x)",
    "two closures over one variable": "x, y = counter()",
    "a default": "x = [1]\ndef y(a=x): return a",
    "a keyword default": "x = [1]\ndef y(*, a=x): return a",
    "a function's attribute": "x = [1]\ndef y(): return 1\ny.memory = x",
    "a mapping proxy": "x = {}; y = types.MappingProxyType(x)",
    "a chain map": "x = {}; y = collections.ChainMap(x)",
    "an array by two names": "x = np.ones(3); y = x",
    "an array and its view": "x = np.ones(10); y = x[2:5]",
    "two views of an array that has no name": "a = np.ones(10); x = a[:5]; y = a[5:]; del a",
    "a view of a view": "x = np.ones((4, 4)); y = x.T[1:][:, ::2]",
    "a reshaped array in a list": "x = np.ones(10); y = [x.reshape(2, 5)]",
    "an array in a dict": "x = np.ones(10); y = {'w': x}",
    "an object in an array of objects": "x = [1]; y = np.array([x, None], dtype=object)",
    "a frame and an array of its memory": "x = pd.DataFrame({'a': [1.0]}); y = x['a'].to_numpy()",
    "a series over an array": "y = np.ones(3); x = pd.Series(y, copy=False)",
    "a frame by two names": "x = pd.DataFrame({'a': [1]}); y = x",
    "a frame in an object": "x = pd.DataFrame({'a': [1]}); y = Box(x)",
    "a list in a column": "x = [1]; y = pd.DataFrame({'a': pd.Series([x, None], dtype=object)})",
    "a list in two series": "p = [1]; x = pd.Series([p, 1], dtype=object); y = pd.Series([p], dtype=object); del p",
}
APART = {
    "equal lists": "x = [1]; y = [1]",
    "a copy": "x = [1, [2]]; y = [1, [2]]",
    "numbers and text": "x = 'text' * 9; y = x",
    "a common string": "s = 'text' * 9; x = [s]; y = {'s': s}; del s",
    "a common big integer": "n = 2 ** 100; x = [n]; y = [n]; del n",
    "a common tuple of constants": "t = (1, 'a', (2.0, None)); x = [t]; y = [t]; del t",
    "the empty tuple": "x = Box(); y = Box()",
    "a frozenset of constants": "f = frozenset({1, 2}); x = [f]; y = [f]; del f",
    "a class": "x = [Box]; y = {'b': Box}",
    "instances of one class": "x = Box(1); y = Box(1)",
    "an enum member, which is one everywhere": "x = [Colour.RED]; y = {'c': Colour.RED}",
    "a plain function": "x = [plain]; y = {'f': plain}",
    "a module": "x = [np]; y = {'np': np}",
    "closures over constants": "x = closure(1); y = closure(1)",
    "a dtype": "x = np.ones(3); y = np.zeros(3)",
    "a dtype with a name": "x = np.dtype('i8'); y = [x]",
    "a copy of an array": "x = np.ones(3); y = x[1:].copy()",
    "a numpy scalar": "x = np.ones(3); y = x[0]",
    "a frame and its column, by copy-on-write": "x = pd.DataFrame({'a': [1.0]}); y = x['a']",
    "a frame that is copied before it is changed": "x = pd.DataFrame({'a': [1.0]}); y = [x['a'], x['a'].to_numpy()]",
    "a frame and an array that is a copy": "x = pd.DataFrame({'a': [1.0], 'b': [1]}); y = x.to_numpy()",
    "a frame and its filtered copy": "x = pd.DataFrame({'a': [1, 2]}); y = x[x.a > 1]",
    "frames with a common index": "i = pd.Index([1]); x = pd.DataFrame({}, i); y = pd.DataFrame({}, i); del i",
    "missing values of pandas": "x = [pd.NA, pd.NaT]; y = {'m': pd.NA, 't': pd.NaT}",
    "a timestamp": "t = pd.Timestamp('2024-01-01'); x = [t]; y = [t]; del t",
}


def names_of(source: str) -> dict[str, Any]:
    """x and y as a notebook would have them; nothing else holds what they hold."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(PRELUDE, namespace)
    exec(source, namespace)
    return {"x": namespace.pop("x"), "y": namespace.pop("y")}


@pytest.mark.parametrize("source", SHARED.values(), ids=SHARED.keys())
def test_names_that_share_form_one_group(source: str) -> None:
    assert alias_groups(names_of(source)) == (("x", "y"),)


@pytest.mark.parametrize("source", APART.values(), ids=APART.keys())
def test_names_that_share_nothing_that_changes_stay_apart(source: str) -> None:
    assert alias_groups(names_of(source)) == (("x",), ("y",))


def test_groups_join_through_a_third_name_and_keep_the_order_given() -> None:
    one: list[Any] = [1]
    other: list[Any] = [2]
    values = {"c": one, "n": 5, "b": [one, other], "z": [], "a": other}
    assert alias_groups(values) == (("c", "b", "a"), ("n",), ("z",))


def test_memory_shown_by_several_arrays_is_named_by_its_owner() -> None:
    base = np.ones(10)
    lonely = np.ones(10)
    sharing = find_sharing({"x": base[:5], "y": [base[5:]], "z": lonely})
    assert sharing.bases == {id(base)}
    assert owner_of(base[2:][::2].reshape(2, 2)) is base
    assert owner_of(lonely) is lonely


def test_what_a_lone_view_does_not_show_does_not_travel_with_it() -> None:
    large = np.ones(100)
    view = large[:5]
    assert find_sharing({"x": view, "y": [1]}, thorough=True).bases == frozenset()
    assert find_sharing({"x": view, "y": [large]}).bases == {id(large)}
    assert find_sharing({"x": view, "y": [view]}).bases == frozenset()


HELD_BY_THE_VALUES_ALONE = {
    "a list of lists": "x = [[1], [2]]; y = {}",
    "an alias between the two": "x = [1]; y = [x, x]",
    "an object": "x = Box([1], {}); y = Box(2)",
    "a frame and an array": "x = pd.DataFrame({'a': [1.0, 2.0]}); y = np.ones(3)",
    "a frame and one that shows its memory": "x = pd.DataFrame({'a': [1.0]}); y = x.rename(columns=str.upper)",
    "a closure": "x = closure([1]); y = 2",
    "the empty tuple, which everybody holds": "x = Box(); y = Box([])",
    "constants": "x = [Colour.RED, np, Box, (1, 'a')]; y = [plain, np.dtype('f8')]",
}


@pytest.mark.parametrize("source", HELD_BY_THE_VALUES_ALONE.values(), ids=HELD_BY_THE_VALUES_ALONE.keys())
def test_values_that_nobody_else_holds_are_not_shared_outside(source: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(PRELUDE, namespace)
    exec(source, namespace)
    values = {"x": namespace.pop("x"), "y": namespace.pop("y")}
    assert not find_sharing(values, holders=1).is_shared_outside


OUTSIDE = {
    "the value itself": "x = []; y = {}; outside = x",
    "an inner list": "x = [[1], [2]]; y = {}; outside = x[1]",
    "an attribute": "x = Box([1]); y = 1; outside = x.content[0]",
    "inside another object": "x = {'a': []}; y = 1; outside = Box(x['a'])",
    "an array": "x = np.ones(3); y = 1; outside = [x]",
    "a view": "x = np.ones(3); y = 1; outside = x[1:]",
    "a frame's memory": "x = pd.DataFrame({'a': [1.0]}); y = 1; outside = x['a'].to_numpy()",
    "a closure's list": "l = [1]; x = closure(l); y = 1; outside = closure(l); del l",
}


@pytest.mark.parametrize("source", OUTSIDE.values(), ids=OUTSIDE.keys())
def test_a_part_that_somebody_else_holds_is_shared_outside(source: str) -> None:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(PRELUDE, namespace)
    exec(source, namespace)
    values = {"x": namespace.pop("x"), "y": namespace.pop("y")}
    assert find_sharing(values, holders=1).is_shared_outside


def test_an_array_that_is_only_read_does_not_lead_to_its_frame() -> None:
    values = names_of("x = pd.DataFrame({'a': [1.0]}); y = x['a'].to_numpy()")
    assert find_sharing(values, leading={"y"}).groups == (("x",), ("y",))
    assert find_sharing(values, leading={"x"}).groups == (("x", "y"),)
    values["y"].flags.writeable = True
    assert find_sharing(values, leading={"y"}).groups == (("x", "y"),)


def test_the_callers_own_dictionaries_do_not_count() -> None:
    names = {"x": [1]}
    picked = {name: names[name] for name in names}
    assert find_sharing(picked, holders=1).is_shared_outside
    assert not find_sharing(picked, holders=2).is_shared_outside


def test_a_very_deep_value_is_walked_without_recursion() -> None:
    deep: list[Any] = []
    for _ in range(100_000):
        deep = [deep]
    assert alias_groups({"x": deep, "y": [deep]}) == (("x", "y"),)
