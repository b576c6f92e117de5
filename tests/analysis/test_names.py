"""One line of code in, the names that it reads and binds out.

A case is the code and its expected names, in the notation of tests.analysis.notation.
"""

from __future__ import annotations

import sys

import pytest

from cellyard.analysis import analyze
from tests.analysis.notation import parsed, told

ORDER = [
    ("", ""),
    ("1", ""),
    ("x", "x"),
    ("x; y", "x y"),
    ("x = 1", "> x"),
    ("x = y", "y > x"),
    ("x = x", "x > x"),
    ("x = 1; x", "> x"),
    ("x; x = 1", "x > x"),
    ("x = y; y = x", "y > x y"),
    ("x, y = y, x", "x y > x y"),
    ("x = y = z", "z > x y"),
    ("x = (y, z) = w", "w > x y z"),
    ("x, *y = z", "z > x y"),
    ("[x, (y, z)] = w", "w > x y z"),
    ("x: int", ""),
    ("x: T", "T"),
    ("x: T = y", "T y > x"),
    ("x: int; x", "x"),
    ("x.a: T", "T x"),
    ("x += 1", "x > x ! x"),
    ("x = 0; x += 1", "> x ! x"),
    ("x += y", "x y > x ! x"),
    ("x @= y", "x y > x ! x"),
    ("del x", "x > - x"),
    ("x = 1; del x", "> x - x"),
    ("x = 1; del x; x", "> x - x"),
    ("del x; x", "x > - x"),
    ("del x, y", "x y > - x y"),
    ("del (x, [y])", "x y > - x y"),
    ("del x; x = 1; x", "x > x - x"),
    ("assert x, y", "x y > ! y"),
    ("global x; x = 1", "> x"),
    ("pass", ""),
    ("x if y else z", "x y z"),
    ("x and y or not z", "x y z"),
    ("x < y < z", "x y z"),
    ("x[y:z]", "x y z"),
    ("x[y, ...]", "x y"),
    ("x.y.z", "x"),
    ("-x + ~y ** z", "x y z"),
    ("{x: y, **z}", "x y z"),
    ("{x, *y}", "x y"),
    ("[*x, y]", "x y"),
    ("f'{x}'", "x"),
    ("f'{x!r:>{w}}'", "x w"),
    ("f'{x + (y := 1)}{y}'", "x > y"),
    ("'x'", ""),
    ("x = 1\ny = x + 1\nz = x + y", "> x y z"),
]

BRANCHES = [
    ("if c: x = 1\nx", "c x > x"),
    ("if c: x = 1\nelse: x = 2\nx", "c > x"),
    ("if c: x = 1\nelif d: x = 2\nx", "c d x > x"),
    ("if c: x = 1\nelif d: x = 2\nelse: x = 3\nx", "c d > x"),
    ("if c: raise E\nelse: x = 1\nx", "c E > x ! E"),
    ("if c: x = 1\nelse: raise E\nx", "c E > x ! E"),
    ("if c: del x\nx", "c x > - x"),
    ("x = 1\nif c: del x\nx", "c > x - x"),
    ("if (n := c): n", "c > n"),
    ("if (n := c) and (m := d): n, m\n", "c d > n m"),
    ("if (n := c) and (m := d): pass\nelse: m", "c d m > n m"),
    ("if (n := c) or (m := d): m", "c d m > n m"),
    ("if not ((n := c) or (m := d)): m", "c d > n m"),
    ("c and (n := 1); n", "c n > n"),
    ("(n := 1) and n; n", "> n"),
    ("(n := 1) if c else 0; n", "c n > n"),
    ("0 if (n := c) else n; n", "c > n"),
    ("a < b < (n := c); n", "a b c n > n"),
    ("a < (n := c); n", "a c > n"),
    ("for i in xs: pass", "xs > i"),
    ("for i in xs: pass\ni", "xs i > i"),
    ("for i in xs: i", "xs > i"),
    ("for i in xs: x = i\nx", "xs x > i x"),
    ("for i in xs: t += i", "xs t > i t ! t"),
    ("for i in xs:\n x = 1\nelse:\n y = 1\ny", "xs > i x y"),
    ("for i in xs:\n y = 1\n break\nelse:\n y = 2\ny", "xs > i y"),
    ("for i in xs:\n if i: break\nelse:\n y = 2\ny", "xs y > i y"),
    ("for i in xs:\n if i: continue\n x = 1\nx", "xs x > i x"),
    ("for x.a in ys: pass", "x ys > ! x"),
    ("for x[i] in ys: pass", "x i ys > ! x"),
    ("for i, (j, k) in xs: j", "xs > i j k"),
    ("for x in x: x", "x > x"),
    ("while c: x = 1\nx", "c x > x"),
    ("while True:\n x = 1\n break\nx", "> x"),
    ("while True:\n if c: break\n x = 1\nx", "c x > x"),
    ("while True:\n x = f()\n if x: break\nx", "f > x"),
    ("while 1:\n try:\n  x = f()\n  break\n except E: pass\nx", "f E > x"),
    ("while (n := f()): n\nn", "f > n"),
    ("while c: pass\nelse: x = 1\nx", "c > x"),
    ("try: x = 1\nexcept E: pass\nx", "E x > x"),
    ("try: x = 1\nexcept E: x = 2\nx", "E > x"),
    ("try: x = 1\nexcept E: raise\nx", "E > x"),
    ("try: x = 1\nexcept E: pass\nelse: y = x\ny", "E y > x y"),
    ("try: f()\nexcept E: raise\nelse: x = 1\nx", "E f > x"),
    ("try:\n def f(): return 1\nexcept E: pass\nelse: x", "E x > f"),
    ("if c:\n def f(): raise E\n x = 1\nelse: x = 2\nx", "c > f x"),
    ("try: x = 1\nfinally: x", "x > x"),
    ("try: x = 1\nfinally: pass\nx", "> x"),
    ("try: pass\nfinally: x = 1\nx", "> x"),
    ("try: f()\nexcept E as e: e\n", "E f > e - e"),
    ("try: f()\nexcept E as e: pass\ne", "E f e > e - e"),
    ("try: f()\nexcept* E as e: pass\n", "E f > e - e"),
    ("try: f()\nexcept: x = 1\nx", "f x > x"),
    ("with a: x = 1\nx", "a x > x ! a"),
    ("with a as b: b", "a > b ! a"),
    ("with a as (b, c.d): b", "a c > b ! a c"),
    ("with a as b, b.c as d: d", "a > b d ! a b"),
    ("with open(p) as f: x = 1\nx", "p > f x"),
    ("with open(p) as f: x = f.read()\nx", "p > f x ! f"),
    ("with p.open() as f: x = 1\nx", "p > f x ! p"),
    ("with suppress(E): x = 1\nx", "suppress E x > x ! E"),
    ("with np.errstate(all='ignore'): x = 1\nx", "np > x ! np"),
    ("match x:\n case [a, b]: a\n case _: b", "x b > a b"),
    ("match x:\n case [a, *b]: pass\n case {'k': c, **d}: pass\n", "x > a b c d"),
    ("match x:\n case K(a, k=b): pass", "x K > a b"),
    ("match x:\n case a.b: pass", "x a"),
    ("match x:\n case a if a > t: a", "x t > a"),
    ("match x:\n case 1 as a: pass\na", "x a > a"),
    ("match x:\n case 1: a = 1\n case _: a = 2\na", "x > a"),
    ("match x:\n case 1 | 2: a = 1\n case other: a = other\na", "x > a other"),
    ("match x:\n case 1: a = 1\n case _: raise E\na", "x E > a ! E"),
    ("match (y := x):\n case _: y", "x > y"),
]

IMPORTS = [
    ("import a", "> a"),
    ("import a.b.c", "> a"),
    ("import a.b as c", "> c"),
    ("from a import b", "> b"),
    ("from a import b as c", "> c"),
    ("from a import *\nb", "b"),
    ("import a; a.b", "> a"),
    ("import a; a.b()", "> a"),
    ("import a; a.b.c = 1", "> a"),
    ("if c: import a\na", "c a > a"),
    ("try: import a\nexcept ImportError: a = None\na", "> a"),
    ("def f(): import a", "> f"),
    ("from . import a", "> a"),
    ("a.f()\nimport a", "a > a ! a"),
    ("if c: import a\na.f()", "a c > a ! a"),
    ("from __future__ import annotations", "> annotations"),
]

BUILTINS = [
    ("print", ""),
    ("print = x", "x > print"),
    ("print(x)\nprint = 1", "x > print ! x"),
    ("len = f\nlen(x)", "f x > len ! x"),
    ("if c: len = f\nlen(x)", "c f x > len ! x"),
    ("def sum(v): return v.pop()\nsum(x)", "x > sum ! x"),
    ("from numpy import *\nsum(x)", "x > ! x"),
    ("def f(): global len; len = g\nf(); len(x)", "g x > f len ! x"),
    ("__name__", ""),
    ("__builtins__", ""),
    ("_", "_"),
    ("In, Out", "In Out"),
    ("display(x)", "x"),
    ("len.x = 1", ""),
    ("del print", "print > - print"),
]

MAGICS = [
    ("%time y = f(x)", "f x > y ! x"),
    ("%time f(x)", "f x > ! x"),
    ("y = %time x\ny.append(1)", "x > y ! x y"),
    ("%timeit -n 10 -r 3 f(x)", "f x > ! x"),
    ("%%time\ny = x\ny", "x > y"),
    ("%%timeit y = x\nf(y)", "f x y > y ! x y"),
    ("%%capture out\ny = x", "x > out y"),
    ("%%capture --no-stderr\ny = x", "x > y"),
    ("%matplotlib inline\nx", "x"),
    ("%cd /tmp\nx = 1", "> x"),
    ("!ls", "> _exit_code"),
    ("!echo {x} $y", "x y > _exit_code"),
    ("files = !ls {folder}", "folder > files"),
    ("%cd {folder}", "folder"),
    ("%cd $folder", "folder"),
]

EVERY = ORDER + BRANCHES + IMPORTS + BUILTINS


@pytest.mark.parametrize(("code", "names"), EVERY, ids=[code for code, _ in EVERY])
def test_the_names_of_a_line(code, names):
    assert told(analyze(code)) == parsed(names)


@pytest.mark.parametrize(("code", "names"), MAGICS, ids=[code for code, _ in MAGICS])
def test_the_names_of_a_line_in_ipython_syntax(code, names):
    from IPython.core.inputtransformer2 import TransformerManager

    assert told(analyze(code, transform=TransformerManager().transform_cell)) == parsed(names)


NEW_SYNTAX = [
    ("def f[T: B](x: T) -> T: pass", "B > f"),
    ("class A[T](G[T]):\n x: T", "G > A"),
    ("type X = list[y]", "> X"),
    ("type X[T] = T | y\nX", "y > X"),
]


@pytest.mark.parametrize(("code", "names"), NEW_SYNTAX if sys.version_info >= (3, 12) else [("x", "x")])
def test_the_names_of_type_parameters(code, names):
    assert told(analyze(code)) == parsed(names)
