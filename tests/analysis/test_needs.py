"""Facts against a live namespace: what a cell needs, may change, and misses."""

from __future__ import annotations

import collections
import itertools
from typing import Any

import pytest

from cellyard.analysis import analyze, changed_names, changes_when_read, missing_names, needed_names

BEFORE = """
import collections, itertools
n = [1]; k = [2]; m = [3]; text = "a"
def f(): return n
def g(a): return f(), a
def setter():
    global made
    made = 1
class A:
    shared = []
    def use(self): return k
a = A()
class Model:
    def __call__(self, x): self.last = x
model = Model()
def counter():
    seen = []
    def count(x): seen.append(x)
    return count
count = counter()
it = iter([1, 2])
dd = collections.defaultdict(list)
"""


def notebook() -> dict[str, Any]:
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(compile(BEFORE, "<cell>", "exec", dont_inherit=True), namespace)
    return namespace


NEEDED = [
    ("x = 1", ""),
    ("n", "n"),
    ("n; unknown", "n"),
    ("f()", "f n"),
    ("g(1)", "g f n"),
    ("a.use()", "a A k"),
    ("def f(): return m\nf()", "m"),
    ("def f(): return m\ng(1)", "g f n m"),
    ("def h(): return f()\nh()", "f n"),
    ("def h(): return f()", ""),
    ("duckdb.sql('select * from n')", "n"),
]


@pytest.mark.parametrize(("code", "names"), NEEDED)
def test_a_cell_needs_its_reads_and_what_they_need(code, names):
    assert needed_names(analyze(code), notebook()) == set(names.split())


def test_a_cell_with_dynamic_uses_needs_every_word_of_its_text():
    code = "eval('n + [unknown]')"
    assert needed_names(analyze(code), notebook(), source=code) == {"n"}


def test_a_builtin_that_the_notebook_has_bound_is_needed():
    namespace = notebook()
    namespace["len"] = namespace["f"]
    assert needed_names(analyze("len([])"), namespace) == {"len", "f", "n"} - {"f"}


CHANGED = [
    ("n", ""),
    ("len(n); k[0]; print(m)", ""),
    ("n.append(1)", "n"),
    ("b = n; b[0] = 2", "n"),
    ("f()", "n"),
    ("f().append(1)", "n"),
    ("g(k)", "n k"),
    ("a.use()", "a A k"),
    ("A()", "A k"),
    ("a", "A k"),
    ("model(n)", "model Model n"),
    ("count(1)", "count"),
    ("f", "n"),
    ("for v in it: print(v)", "it"),
    ("dd[1]", "dd"),
    ("collections.Counter(n)", "n"),
]


@pytest.mark.parametrize(("code", "names"), CHANGED)
def test_a_cell_may_change_what_it_mutates_and_reaches(code, names):
    found = changed_names(analyze(code), notebook())
    assert found >= set(names.split())
    assert found - {"A", "Model", "k"} <= set(names.split())


def test_anything_may_change_where_uses_are_dynamic():
    code = "exec('n.append(1)')\nk"
    assert changed_names(analyze(code), notebook(), source=code) == {"n", "k"}


MISSING = [
    ("n", []),
    ("nn", [("nn", 1)]),
    ("print(n)\nmodle.fit(x)", [("modle", 2), ("x", 2)]),
    ("if n: nn", []),
    ("nn = 1; nn", []),
    ("setter(); made", []),
    ("from a import *\nnn", []),
    ("exec('nn = 1')\nnn", []),
    ("len(__name__)", []),
    ("def f(): return nn", []),
    ("try: nn\nexcept NameError: pass", []),
    ("del nn", [("nn", 1)]),
]


@pytest.mark.parametrize(("code", "missing"), MISSING)
def test_a_name_that_nobody_made_is_missing(code, missing):
    assert list(missing_names(analyze(code), notebook())) == missing


@pytest.mark.parametrize(
    ("value", "changes"),
    [(iter([]), True), ((x for x in []), True), (zip(), True), (itertools.count(), True),
     (collections.defaultdict(list), True), (collections.Counter(), True), ([], False), ({}, False), ("a", False),
     (range(3), False), (3, False)],
)  # fmt: skip
def test_iterators_and_self_filling_dictionaries_change_when_read(value, changes):
    assert changes_when_read(value) is changes
