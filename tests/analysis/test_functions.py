"""The names that live functions, classes and instances use."""

from __future__ import annotations

import textwrap
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest
import wrapt

from cellyard.analysis import globals_used_by, names_used_by, reachable_names


def notebook(source: str, **values: Any) -> dict[str, Any]:
    """The namespace of a notebook in which ``source`` has run."""
    namespace: dict[str, Any] = {"__name__": "__main__", **values}
    exec(compile(textwrap.dedent(source), "<cell>", "exec", dont_inherit=True), namespace)
    return namespace


CASES = [
    ("def f(): return x", "x"),
    ("def f(): return len(x)", "x"),
    ("len = 1\ndef f(): return len(x)", "len x"),
    ("def f(a): return a.b", ""),
    ("def f():\n global x\n x = 1", "x"),
    ("def f():\n global x\n del x", "x"),
    ("def f():\n def g(): return x\n return g", "x"),
    ("def f(): return [x for _ in y]", "x y"),
    ("def f(): return (lambda: x)", "x"),
    ("def f():\n class A:\n  a = x\n return A", "x __name__"),
    ("def f(): import os; return os", ""),
    ("def f(): yield x", "x"),
    ("async def f(): await x", "x"),
    ("f = lambda: x", "x"),
    ("def g():\n def h(): return x\n def f(): return h() + y\n return f\nf = g()", "x y"),
    ("def g(): return x\ndef f(a=g): return y", "x y"),
    ("def g(): return x\ndef f(*, a=g): return y", "x y"),
    ("import functools\ndef g(a): return x\nf = functools.partial(g, 1)", "x"),
    ("import functools\ndef g(a): return x\nf = functools.partial(print, g)", "x"),
    ("import functools\n@functools.lru_cache\ndef f(): return x", "x"),
    ("import functools\n@functools.cache\ndef f(): return x", "x"),
    ("import functools\n@functools.wraps(print)\ndef f(): return x", "x"),
    ("import functools\n@functools.singledispatch\ndef f(a): return x\n@f.register\ndef _(a: int): return y", "x y"),
    ("import contextlib\n@contextlib.contextmanager\ndef f(): yield x", "x"),
    ("class A:\n def m(self): return x\nf = A", "x"),
    ("class A:\n def m(self): return x\nf = A.m", "x"),
    ("class A:\n def m(self): return x\nf = A().m", "x"),
    ("class A:\n def m(self): return x\nf = A()", "x"),
    ("class A:\n @staticmethod\n def m(): return x\nf = A", "x"),
    ("class A:\n @classmethod\n def m(cls): return x\nf = A", "x"),
    ("class A:\n @property\n def m(self): return x\nf = A", "x"),
    ("class A:\n m = property(None, lambda self, v: x)\nf = A", "x"),
    ("import functools\nclass A:\n @functools.cached_property\n def m(self): return x\nf = A", "x"),
    ("import functools\nclass A:\n m = functools.partialmethod(lambda self: x)\nf = A", "x"),
    ("class A:\n class B:\n  def m(self): return x\nf = A", "x"),
    ("class B:\n def m(self): return x\nclass A(B): pass\nf = A", "x"),
    ("class M(type):\n def m(cls): return x\nclass A(metaclass=M): pass\nf = A", "x"),
    ("class A: pass\nf = A()\nf.g = lambda: x", "x"),
    ("f = [1, lambda: x]", "x"),
    ("f = {'k': (lambda: x, [lambda: y])}", "x y"),
    ("f = 3", ""),
    ("f = print", ""),
    ("import json\nf = json.dumps", ""),
    ("def f(): return f", "f"),
]


@pytest.mark.parametrize(("source", "names"), CASES, ids=[source for source, _ in CASES])
def test_the_names_that_code_uses(source, names):
    namespace = notebook(source)
    assert names_used_by(namespace["f"], namespace) - {"__name__"} == set(names.split()) - {"__name__"}


def test_loads_and_stores_are_told_apart():
    namespace = notebook("def f():\n    global x\n    x = y")
    use = globals_used_by(namespace["f"])
    assert (use.loads, use.stores) == ({"y"}, {"x"})


def test_many_names_are_all_found():
    source = "def f(): return [" + ", ".join(f"n{i}" for i in range(700)) + "]"
    namespace = notebook(source)
    assert names_used_by(namespace["f"]) == {f"n{i}" for i in range(700)}


def test_a_closure_that_is_not_filled_yet_holds_nothing():
    namespace = notebook("def g():\n    def f(): return later + x\n    return f\n    later = 1\nf = g()")
    assert names_used_by(namespace["f"]) == {"x"}


def test_the_names_of_a_library_are_not_the_notebook_s():
    namespace = notebook("df = pd.DataFrame({'a': [1]})\nf = pd.read_csv\nm = df.mean", pd=pd)
    assert names_used_by(namespace["f"], namespace) == set()
    assert names_used_by(namespace["m"], namespace) == set()
    assert reachable_names(["df", "f", "m"], namespace) == {"df", "f", "m"}


def test_a_library_s_object_that_holds_a_function_of_the_notebook_is_looked_into():
    namespace = notebook("def g(a): return a + x\nf = np.vectorize(g)", np=np, x=1)
    assert names_used_by(namespace["f"], namespace) == {"x"}


REACHABLE = [
    ("x = 1", "x", "x"),
    ("x = 1", "x y", "x"),
    ("y = 1\ndef f(): return y", "f", "f y"),
    ("def f(): return g()\ndef g(): return f()", "f", "f g"),
    ("z = 1\ny = lambda: z\ndef f(): return y()", "f", "f y z"),
    ("def f(): return missing", "f", "f"),
    ("class A:\n def m(self): return y\ny = 1\na = A()", "a", "a A y"),
    ("class B: pass\nclass A(B):\n def m(self): return y\ny = 1\na = [A()]", "a", "a A B y"),
    ("class A:\n def m(self): return A\na = A()\ndel A", "a", "a"),
    ("class A:\n def m(self): return y\ny = 1\na = A()\nA = 3", "a", "a y"),
    ("y = 1\nfs = [lambda: y]", "fs", "fs y"),
    ("import os\ndef f(): return os.sep", "f", "f os"),
    ("from enum import Enum\nclass E(Enum):\n A = 1\nx = E.A", "x", "x E"),
    ("from dataclasses import dataclass\n@dataclass\nclass P:\n def m(self): return k\nk = 2\np = P()", "p", "p P k"),
    ("from collections import namedtuple\nN = namedtuple('N', 'a')\nn = N(1)", "n", "n N"),
]  # fmt: skip


@pytest.mark.parametrize(("source", "names", "expected"), REACHABLE, ids=[case[0] for case in REACHABLE])
def test_all_names_that_must_travel_are_reached(source, names, expected):
    namespace = notebook(source)
    assert reachable_names(names.split(), namespace) == set(expected.split())


def test_a_stand_in_is_not_touched():
    def fetch():
        raise AssertionError("the stand-in was used")

    namespace = notebook("", x=wrapt.LazyObjectProxy(fetch))
    namespace["f"] = [namespace["x"]]
    assert reachable_names(["x", "f"], namespace) == {"x", "f"}


def test_no_code_of_the_user_s_classes_is_run():
    namespace = notebook(
        """
        class Sharp:
            def __getattr__(self, name): raise AssertionError(name)
            def __eq__(self, other): raise AssertionError("==")
            def __bool__(self): raise AssertionError("bool")
            @property
            def p(self): return y
        class Edge(list):
            def __iter__(self): raise AssertionError("iter")
            def __len__(self): raise AssertionError("len")
        y = 1
        x = [Sharp(), Edge([Sharp()])]
        """
    )
    assert reachable_names(["x"], namespace) == {"x", "Sharp", "Edge", "y"}


def test_large_values_are_not_walked():
    namespace = notebook("f = lambda: y\nx = [[i] for i in range(300_000)]\nd = {i: [i] for i in range(300_000)}")
    start = time.perf_counter()
    reachable_names(["x", "d"], namespace)
    assert time.perf_counter() - start < 0.05


def test_a_value_that_holds_itself_is_walked_once():
    namespace = notebook("x = []\nx.append(x)\nx.append(lambda: y)\ny = x")
    assert reachable_names(["x"], namespace) == {"x", "y"}
