"""Instances of the notebook's classes are rebuilt past the code of these classes, with all that they share."""

from __future__ import annotations

import functools
import pickle
import sys
from collections import OrderedDict, defaultdict, deque
from types import ModuleType
from typing import Any

import pytest

from cellyard.artifacts.definitions import Context, loading
from cellyard.artifacts.pickler import Packer

RAISING = """
class K({base}):
    {slots}
    def __new__(cls, *a, first): raise RuntimeError("__new__ was called")
    def __init__(self, *a): raise RuntimeError("__init__ was called")
    def __setattr__(self, *a): raise RuntimeError("__setattr__ was called")
    def __getattr__(self, name): raise RuntimeError(f"__getattr__({{name}}) was called")
    def __setitem__(self, *a): raise RuntimeError("__setitem__ was called")
    def append(self, *a): raise RuntimeError("append was called")
    def extend(self, *a): raise RuntimeError("extend was called")
    def update(self, *a): raise RuntimeError("update was called")
    def add(self, *a): raise RuntimeError("add was called")
    def __iter__(self): raise RuntimeError("__iter__ was called")
    def __eq__(self, other): raise RuntimeError("__eq__ was called")
    __hash__ = object.__hash__
"""


@pytest.fixture
def main(monkeypatch):
    """A module in the place of the notebook's."""
    made = ModuleType("__main__")
    monkeypatch.setitem(sys.modules, "__main__", made)
    return vars(made)


def travelled(value: Any, names: dict[str, Any]) -> Any:
    packer = Packer(names)
    packer.dump(value)
    with loading(Context(names, {}, lambda id: b"", pickle.loads)):
        return pickle.loads(packer.file.getvalue(), buffers=packer.buffers)


CASES: dict[str, tuple[Any, Any, Any]] = {
    "object": (object, (), None),
    "int": (int, (5,), int.__int__),
    "float": (float, (2.5,), float.__float__),
    "complex": (complex, (2.5j,), complex.__complex__),
    "str": (str, ("a",), str.__str__),
    "bytes": (bytes, (b"a",), lambda x: bytes.__getitem__(x, slice(None))),
    "tuple": (tuple, ([1, 2],), lambda x: tuple.__getitem__(x, slice(None))),
    "frozenset": (frozenset, ([1, 2],), lambda x: sorted(frozenset.__iter__(x))),
    "list": (list, (), lambda x: list.__getitem__(x, slice(None))),
    "set": (set, (), lambda x: sorted(set.__iter__(x))),
    "dict": (dict, (), dict.copy),
    "OrderedDict": (OrderedDict, (), lambda x: [(k, dict.__getitem__(x, k)) for k in OrderedDict.__iter__(x)]),
    "defaultdict": (defaultdict, (), lambda x: (defaultdict.default_factory.__get__(x), dict.copy(x))),
    "deque": (deque, (), lambda x: (list(deque.__iter__(x)), x.maxlen)),
}
FILL: dict[Any, Any] = {
    list: lambda x: list.extend(x, [1, 2]),
    set: lambda x: set.update(x, [1, 2]),
    dict: lambda x: dict.update(x, a=1),
    OrderedDict: lambda x: [OrderedDict.__setitem__(x, "b", 1), OrderedDict.__setitem__(x, "a", 2)],
    defaultdict: lambda x: defaultdict.__init__(x, int, a=1),
    deque: lambda x: deque.__init__(x, [1, 2, 3], 2),
}


@pytest.mark.parametrize("name", CASES)
def test_no_code_of_the_class_runs_on_the_way(main, name):
    base, arguments, content = CASES[name]
    exec("from collections import *\n" + RAISING.format(base=name, slots=""), main)
    one = base.__new__(main["K"], *arguments)
    FILL.get(base, lambda x: None)(one)
    vars(one)["itself"] = one
    two = travelled(one, main)
    assert type(two) is main["K"]
    assert content is None or content(two) == content(one)
    assert vars(two)["itself"] is two


def test_slots_are_filled_past_a_class_that_refuses(main):
    exec(RAISING.format(base="object", slots="__slots__ = ('a', '__b', 'empty')"), main)
    kind = main["K"]
    one = object.__new__(kind)
    kind.a.__set__(one, [1])
    kind._K__b.__set__(one, 2)
    two = travelled([one, one], main)[1]
    assert (kind.a.__get__(two), kind._K__b.__get__(two)) == ([1], 2)
    with pytest.raises(AttributeError):
        kind.empty.__get__(two)


def test_objects_go_on_sharing_their_attributes(main):
    exec("class K(dict):\n    def __init__(self, of): self.__dict__ = self if of is None else of", main)
    itself, shared = main["K"](None), {}
    one, other = travelled([itself, main["K"](shared), main["K"](shared), shared], main)[:2]
    one.x = 1
    assert one["x"] == 1
    _, first, second, of_both = travelled([itself, main["K"](shared), main["K"](shared), shared], main)
    first.y = 2
    assert second.y == of_both["y"] == 2
    assert type(other) is main["K"]


@pytest.mark.parametrize(
    "options", [{"maxsize": None}, {"maxsize": 3}, {"maxsize": None, "typed": True}, {"maxsize": 9}]
)
def test_a_memoised_function_remembers_what_it_did(main, options):
    exec("def f(*a, **k):\n    calls.append(a)\n    return [a, k]\ncalls = []", main)
    main["f"] = one = functools.lru_cache(**options)(main["f"])
    for arguments, named in [
        ((1,), {}),
        ((1.0,), {}),
        (((1, 2),), {}),
        ((1, 2), {}),
        ((1,), {"x": 3}),
        ((), {"y": "z"}),
    ]:
        one(*arguments, **named)
        one(*arguments, **named)
    two = travelled(one, main)
    assert two.cache_info() == one.cache_info()
    before = len(main["calls"])
    assert two(y="z") == [(), {"y": "z"}]
    assert len(main["calls"]) == before
    assert two("new") == [("new",), {}]
    assert len(main["calls"]) == before + 1


def test_a_memoised_function_goes_without_what_cannot_go(main):
    exec("def f(n): return (i for i in range(n))", main)
    one = functools.cache(main["f"])
    one(3)
    two = travelled(one, main)
    assert two.cache_info().currsize == 0
    assert list(two(2)) == [0, 1]


def test_memoised_functions_of_earlier_versions_are_still_opened(main):
    exec("def f(n): return n + 1", main)
    rebuild = pickle.loads(b"ccellyard.artifacts.pickler\n_rebuild_cached\n.")
    assert rebuild(main["f"], {"maxsize": None, "typed": False})(2) == 3
