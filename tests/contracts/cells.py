"""Small random notebooks: one to four cells over a handful of names, some of them steps. For tests."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

__all__ = ["NAMES", "PRELUDE", "Cell", "notebooks"]

VALUES = ("a", "b", "c", "d")
ARRAYS = ("v", "w")
FUNCTIONS = ("f", "g")
CLASSES = ("K", "L")
NAMES = (*VALUES, *ARRAYS, *FUNCTIONS, *CLASSES, "x", "y", "e", "m")

PRELUDE = """
import numpy as np
a = [1, [2]]
b = {'k': a, 'n': 1}
c = 5
d = a
v = np.arange(6)
w = v[1:4]
def f(x=0):
    return x
def g(x=0):
    a.append(x)
    return a
class K:
    shared = []
    count = 0
    def __init__(self, x=None):
        self.x = x
    def put(self, x):
        self.shared.append(x)
        return self
class L(K):
    pass
x = K(a)
y = x
e = [a]
m = 'm'
"""


@dataclass(frozen=True)
class Cell:
    """One cell's body, and whether it is marked."""

    source: str
    is_step: bool


value = st.sampled_from(VALUES)
array = st.sampled_from(ARRAYS)
function = st.sampled_from(FUNCTIONS)
cls = st.sampled_from(CLASSES)
target = st.sampled_from((*VALUES, "x", "y"))
number = st.integers(0, 9).map(str)


def _of(text: str, **parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """The text with each part filled in."""
    return st.fixed_dictionaries(parts).map(text.format_map)


atom = st.one_of(number, value, st.sampled_from(("x", "'s'", "None", "[]", "{}", "1.5")))
# Deferred, because hypothesis would write out whole strategies where it names them.
expression = st.deferred(lambda: _expressions)
_expressions = st.one_of(
    atom,
    _of("[{one}, {two}]", one=atom, two=atom),
    _of("{{'k': {one}}}", one=atom),
    _of("({one}, {two})", one=atom, two=atom),
    _of("{{1, {n}}}", n=number),
    _of("{f}({one})", f=function, one=atom),
    _of("{k}({one})", k=cls, one=atom),
    _of("[i for i in ({one}, {two})]", one=atom, two=atom),
    _of("{{str(i): i for i in range({n})}}", n=number),
    _of("list({name})", name=value),
    _of("len({name})", name=value),
    _of("{name}[0]", name=value),
    _of("{name}['k']", name=value),
    _of("(lambda i: [i, {one}])({two})", one=atom, two=atom),
    _of("{name} is {other}", name=value, other=value),
    _of("isinstance(x, {k})", k=cls),
    _of("f'{{len({name})}}'", name=value),
    _of("int({v}.sum())", v=array),
    _of("{one} if {two} else {three}", one=atom, two=atom, three=atom),
)
simple = st.deferred(lambda: _simples)
_simples = st.one_of(
    _of("{n} = {e}", n=target, e=expression),
    _of("{n} = {o} = {e}", n=target, o=target, e=expression),
    _of("{n}, {o} = {o}, {n}", n=value, o=value),
    _of("{n} += [{e}]", n=value, e=expression),
    _of("{n} += 1", n=value),
    _of("{n}.append({e})", n=value, e=expression),
    _of("{n}[0] = {e}", n=value, e=expression),
    _of("{n}['k'] = {e}", n=value, e=expression),
    _of("{n}.update(k={e})", n=value, e=expression),
    _of("x.x = {e}", e=expression),
    _of("{o}.x = {one}.x", o=st.sampled_from("xy"), one=st.sampled_from("xy")),
    _of("x.put({e})", e=expression),
    _of("{n} = {k}.shared", n=value, k=cls),
    _of("{k}.shared = [{e}]", k=cls, e=expression),
    _of("{k}.shared = {n}", k=cls, n=value),
    _of("{k}.shared.append({e})", k=cls, e=expression),
    _of("{k}.mark = {n}", k=cls, n=value),
    _of("{f}.held = {n}", f=function, n=value),
    _of("{n} = {f}.held", f=function, n=value),
    _of("{n} = x.put", n=value),
    _of("{n} = {f}", n=value, f=function),
    _of("{n} = {k}", n=value, k=cls),
    _of("{n}({e})", n=value, e=atom),
    _of("{k}.count = {k}.count + 1", k=cls),
    _of("del {k}.count", k=cls),
    _of("{f}.mark = {n}", f=function, n=number),
    _of("{v}[{n}] = {m}", v=array, n=st.sampled_from("012"), m=number),
    _of("{v} += {n}", v=array, n=number),
    _of("{v} = {u}[:{n}]", v=array, u=array, n=st.sampled_from("123")),
    _of("{v} = {u}.copy()", v=array, u=array),
    _of("del {n}", n=st.one_of(target, function, cls, array, st.sampled_from("em"))),
    _of("{n} = {e}\ndel {n}", n=target, e=expression),
    _of("del {n}[0]", n=value),
    _of("{n}[:] = [{e}]", n=value, e=expression),
    _of("{n}, *{o} = {e}, {v}", n=target, o=value, e=atom, v=array),
    _of("{n} = {v}", n=value, v=array),
    _of("{n} = [{v}, {v}]", n=value, v=array),
    _of("print({e})", e=st.one_of(number, _of("len({n})", n=value))),
    _of("(y := {e})", e=expression),
    _of("import math as m", e=expression),
    _of("{f} = lambda x=0: [x, {e}]", f=function, e=atom),
    _of("{f}({e})", f=function, e=expression),
)


CLOSURE = """\
def {f}(x=0):
    kept = [x]
    def inner(z=0):
        kept.append(z)
        return kept
    return inner"""
CLASS = """\
class {k}:
    shared = {e}
    def __init__(self, x=None):
        self.x = x
    def put(self, x):
        global c
        c = x
        return self"""


def _block(statements: list[str], depth: int = 1) -> str:
    return "\n".join("    " * depth + line for each in statements for line in each.split("\n"))


def _compound(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=2).map(_block)
    return st.one_of(
        inner,
        _of("if {c}:\n{one}\nelse:\n{two}", c=expression, one=body, two=body),
        _of("for y in ({e}, {o}):\n{one}", e=atom, o=atom, one=body),
        _of("try:\n{one}\nexcept Exception as e:\n{two}", one=body, two=body),
        _of("try:\n{one}\nfinally:\n{two}", one=body, two=body),
        _of("def {f}(x=0):\n    global {n}\n{one}\n    return {e}", f=function, n=value, one=body, e=atom),
        _of(
            CLOSURE,
            f=function,
        ),
        _of(
            CLASS,
            k=cls,
            e=number,
        ),
        _of(
            "class {k}({base}):\n    def put(self, x):\n        super().put(x)\n        return [self]",
            k=st.just("L"),
            base=st.just("K"),
        ),
    )


inner_statement = st.deferred(lambda: _inner_statements)
_inner_statements = st.one_of(simple, _compound(simple))
statement = _compound(inner_statement)
cell = st.builds(
    Cell,
    source=st.builds(
        lambda statements, last: "\n".join([*statements, *([last] if last else [])]),
        st.lists(statement, min_size=1, max_size=4),
        st.one_of(st.just(""), expression),
    ),
    is_step=st.booleans(),
)
_notebooks = st.lists(cell, min_size=1, max_size=4).filter(lambda cells: any(each.is_step for each in cells))


@st.composite
def notebooks(draw: st.DrawFn) -> list[Cell]:
    """Lists of cells, at least one of them a step. A cell may well raise; that is to be the same, too."""
    return draw(_notebooks)
