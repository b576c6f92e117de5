"""What a cell changes in a class or function is noticed, and only that."""

from __future__ import annotations

import enum
from typing import Any

from cellyard.artifacts.definitions import registry
from cellyard.artifacts.held import HeldState, put_back
from cellyard.artifacts.reference import HELD, is_held


def made(source: str) -> dict[str, Any]:
    """A notebook's namespace after a cell."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(source, namespace)
    return namespace


def watch(namespace: dict[str, Any], name: str) -> tuple[str, HeldState]:
    token = registry.token(namespace[name])
    return HELD + token, HeldState([token], namespace)


def test_a_class_that_was_only_used_has_no_changes():
    names = made("class K:\n    items = [1]\n    count = 0\n    def m(self): return self.items\nk = K()")
    _, state = watch(names, "K")
    exec("k.m(); K.count; k.own = 5", names)
    assert state.changes() == {}


def test_attributes_set_changed_in_place_and_removed_are_told():
    names = made("class K:\n    items = [1]\n    count = 0\n    same = {'k': 1}\n    gone = 1")
    name, state = watch(names, "K")
    exec("K.items.append(2); K.count += 1; del K.gone; K.new = 'n'", names)
    assert is_held(name)
    assert state.changes() == {name: {"set": {"items": [1, 2], "count": 1, "new": "n"}, "removed": ["gone"]}}


def test_a_replaced_method_is_told():
    names = made("class K:\n    def m(self): return 1")
    name, state = watch(names, "K")
    exec("K.m = lambda self: 2", names)
    assert list(state.changes()[name]["set"]) == ["m"]


def test_attributes_and_defaults_of_functions_are_told():
    names = made("def f(x, seen=[]):\n    seen.append(x)\ndef g(): pass")
    name, state = watch(names, "f")
    exec("f(1); f.calls = 1", names)
    assert state.changes() == {name: {"set": {"calls": 1, "__defaults__": ([1],)}, "removed": []}}
    _, state = watch(names, "g")
    exec("g()", names)
    assert state.changes() == {}


def test_changes_put_back_make_the_live_definition_the_same():
    names = made("class K:\n    items = [1]\n    gone = 1\ndef f(x=1): return x")
    for name, changes in (("K", {"set": {"items": [5]}, "removed": ["gone"]}), ("f", {"set": {"a": 1}, "removed": []})):
        put_back(HELD + registry.token(names[name]), changes)
    assert names["K"].items == [5]
    assert not hasattr(names["K"], "gone")
    assert names["f"].a == 1


def test_enums_and_definitions_that_are_gone_are_left_alone():
    names = made("import enum\nclass E(enum.Enum):\n    A = 1")
    assert issubclass(names["E"], enum.Enum)
    _, state = watch(names, "E")
    assert state.changes() == {}
    put_back(HELD + "nobody:123", {"set": {"x": 1}, "removed": []})
