"""One line of code in, expected sets out.

A case is the code and its expected names, written ``reads > writes - deletes ! mutates``; parts may be left out.
"""

from __future__ import annotations

import re
import sys
import time

import pytest

from cellyard.analysis import Facts, analyze
from cellyard.errors import InvalidCell

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

SCOPES = [
    ("[x for x in y]", "y"),
    ("[x for x in x]", "x"),
    ("[x + z for x in y]", "y z"),
    ("[x for x in y if x > t]", "y t"),
    ("[y for x in y for y in x]", "y"),
    ("[a for a in b for c in a for d in e]", "b e"),
    ("[x for x in y]; x", "x y"),
    ("{x: y for x, y in z}", "z"),
    ("{x for x in y}", "y"),
    ("(x for x in y)", "y"),
    ("[n := x for x in y]", "y > n"),
    ("[n for x in y if (n := x)]", "y > n"),
    ("[n := x for x in y]; n", "y n > n"),
    ("[(lambda: x)() for x in y]", "y"),
    ("[[x for x in y] for y in z]", "z"),
    ("[x.a for x in y]", "y"),
    ("lambda: x", "x"),
    ("lambda x: x", ""),
    ("lambda x=y: x", "y"),
    ("lambda *a, k=x, **b: (a, b, k, y)", "x y"),
    ("f = lambda: x", "> f"),
    ("f = lambda: x\nf()", "x > f"),
    ("f = lambda: x\nx = 1\nf()", "> f x"),
    ("g(lambda: x)", "g x > ! x"),
    ("def f(): pass", "> f"),
    ("def f(): return x", "> f"),
    ("def f(): return x\nf()", "x > f"),
    ("def f(): return x\nx = 1\nf()", "> f x"),
    ("def f(): return x\nf()\nx = 1", "x > f x"),
    ("def f(): return x\ng = f", "x > f g"),
    ("def f(): return x\ng(f)", "x g > f ! f x"),
    ("def f(x): return x\nf(1)", "> f"),
    ("def f(): x = 1; return x\nf()", "> f"),
    ("def f(): x += 1\nf()", "> f"),
    ("def f(): global x; x = 1\nf()", "> f x"),
    ("def f(): global x; x = 1; return x\nf()", "> f x"),
    ("def f(): global x; x += 1\nf()", "x > f x ! x"),
    ("def f(): global x; del x\nf()", "x > f - x"),
    ("def f(): global x; x = 1", "> f"),
    ("def f():\n x = 1\n def g(): nonlocal x; x = 2\n g()\nf()", "> f"),
    ("def f():\n x = 1\n def g(): return x + y\n return g\nf()", "y > f"),
    ("def f():\n def g(): return x\n return g\nf()", "x > f"),
    ("def f(): return [x for x in y]\nf()", "y > f"),
    ("def f(): import os; return os\nf()", "> f"),
    ("def f():\n for i in xs: pass\n return i\nf()", "xs > f"),
    ("def f():\n try: pass\n except E as e: e\nf()", "E > f"),
    ("def f():\n with a as b: return b\nf()", "a > f ! a"),
    ("def f(): return [n := 1 for _ in [1]] + [n]\nf()", "> f"),
    ("def f(): (n := 1); return n\nf()", "> f"),
    ("def f():\n match x:\n  case [a, *b]: return a, b\nf()", "x > f"),
    ("def f(x=y): pass", "y > f"),
    ("def f(*, x=y): pass", "y > f"),
    ("def f(x: T) -> U: pass", "T U > f"),
    ("def f(): x: T = 1; return x\nf()", "> f"),
    ("@d\ndef f(): return x", "d x > f"),
    ("@d(e)\ndef f(): return x", "d e x > f ! e"),
    ("def f(): return g()\ndef g(): return x\nf()", "x > f g"),
    ("def f(): return g()\nf()\ndef g(): return x", "g x > f g"),
    ("def f(): return f\nf()", "> f"),
    ("def f(n): return f(n - 1)\nf(1)", "> f"),
    ("async def f(): return await x\nf()", "x > f ! x"),
    ("def f(): yield x\nf()", "x > f"),
    ("for i in xs:\n if i: f()\n def f(): return k", "xs f k > i f"),
    ("if c:\n k = 1\n f = lambda: k\nelse: f = lambda: k\nf()", "c k > f k"),
    ("class A: pass", "> A"),
    ("class A: x = y", "y > A"),
    ("class A: x = x", "x > A"),
    ("class A:\n x = 1\n y = x", "> A"),
    ("class A:\n if c: x = 1\n y = x", "c x > A"),
    ("class A:\n x = 1\n del x\n y = x", "x > A"),
    ("class A:\n x = 1\n def f(self): return x", "> A"),
    ("class A:\n x = 1\n def f(self): return x\nA()", "x > A"),
    ("class A:\n x = 1\n y = [x for _ in z]", "x z > A"),
    ("class A:\n x = 1\n y = [z for z in x]", "> A"),
    ("class A:\n x = 1\n try: del x\n except E as x: pass\n else: x = 2\n finally: y = x", "E x > A"),
    ("class A:\n for x in xs: pass\n y = x", "x xs > A"),
    ("class A(B, k=m): pass", "B m > A ! m"),
    ("class A(B):\n def f(self): return x", "B x > A"),
    ("class A(Exception):\n def f(self): return x", "> A"),
    ("@d\nclass A:\n def f(self): return x", "d x > A"),
    ("class A:\n def f(self): return A\nA()", "> A"),
    ("class A:\n def f(self): return super().f() + __class__\nA()", "> A"),
    ("class A:\n def f(self): return __x\nA()", "_A__x > A ! "),
    ("class A:\n global g\n g = 1\ng", "> A g"),
    ("class A:\n class B:\n  def f(self): return x\nA.B", "x > A"),
    ("class A:\n @property\n def f(self): return x\nA", "x > A"),
    ("class A:\n @staticmethod\n def f(): return x", "> A"),
    ("class A:\n def f(self): return x\n y = f", "x > A"),
    ("class A:\n def f(self): global g; g = 1\nA()", "> A g"),
    ("def f():\n class A:\n  x = y\n return A\nf()", "y > f"),
    ("def f(x):\n class A:\n  x = x\n return A\nf(1)", "x > f"),
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

CHANGES = [
    ("x[0] = 1", "x > ! x"),
    ("x.a = 1", "x > ! x"),
    ("x[0][1] = 1", "x > ! x"),
    ("x.a.b = y", "x y > ! x y"),
    ("del x[0]", "x > ! x"),
    ("del x.a", "x > ! x"),
    ("x[y] += z", "x y z > ! x z"),
    ("x.a += 1", "x > ! x"),
    ("x.f()", "x > ! x"),
    ("x.a.f()", "x > ! x"),
    ("x[0].f()", "x > ! x"),
    ("x().f()", "x"),
    ("f(x)", "f x > ! x"),
    ("f(a=x)", "f x > ! x"),
    ("f(*x, **y)", "f x y > ! x y"),
    ("f([x])", "f x > ! x"),
    ("f(x.a)", "f x > ! x"),
    ("f(x + y)", "f x y > ! x y"),
    ("f(len(x))", "f x"),
    ("f(x == y)", "f x y"),
    ("f(f'{x}')", "f x"),
    ("f(not x)", "f x"),
    ("m.f(x)", "m x > ! m x"),
    ("f(g(x))", "f g x > ! x"),
    ("x, y[0] = 1, 2", "y > x ! y"),
    ("len(x)", "x"),
    ("print(x, y)", "x y"),
    ("print(x, file=y)", "x y > ! y"),
    ("sum(x); max(x); min(x); sorted(x); list(x); dict(x); set(x); tuple(x)", "x"),
    ("isinstance(x, y); repr(x); str(x); type(x); id(x); hash(x)", "x y"),
    ("list(zip(x, y)); list(enumerate(x)); list(range(x)); list(reversed(y))", "x y"),
    ("next(x)", "x > ! x"),
    ("setattr(x, 'a', y)", "x y > ! x y"),
    ("delattr(x, 'a')", "x > ! x"),
    ("getattr(x, 'a')()", "x > ! x"),
    ("getattr(x, 'a').b = 1", "x > ! x"),
    ("sorted(x, key=len)", "x"),
    ("sorted(x, key=lambda v: v[0])", "x"),
    ("sorted(x, key=lambda v: v.pop())", "x > ! x"),
    ("sorted(x, key=f)", "x f > ! x"),
    ("max(x, key=lambda v: y.append(v))", "x y > ! x y"),
    ("list(map(str, x))", "x"),
    ("list(map(f, x))", "f x > ! x"),
    ("list(map(lambda v: v + 1, x))", "x"),
    ("list(filter(None, x))", "x"),
    ("any(v > 1 for v in x)", "x"),
    ("[f(v) for v in x]", "f x > ! x"),
    ("[v.pop() for v in x]", "x > ! x"),
    ("[v for v in x][0].pop()", "x > ! x"),
    ("for v in x: v.pop()", "x > v ! x v"),
    ("for v in x: v[0] = 1", "x > v ! x v"),
    ("for v in x: print(v)", "x > v"),
    ("for i, v in enumerate(x): v[0] = i", "x > i v ! i x v"),
    ("for v in list(x): v[0] = 1", "x > v ! x v"),
    ("b = a; b.append(1)", "a > b ! a b"),
    ("b = a; b[0] = 1", "a > b ! a b"),
    ("b = a; b += [1]", "a > b ! a b"),
    ("b = a.x; b[0] = 1", "a > b ! a b"),
    ("b = a[1:]; b[0] = 1", "a > b ! a b"),
    ("b = c = a; c.append(1)", "a > b c ! a c"),
    ("b = a; c = b; c.append(1)", "a > b c ! a b c"),
    ("b = a if c else d; b.append(1)", "a c d > b ! a d b"),
    ("b = a or []; b.append(1)", "a > b ! a b"),
    ("b = [a]; b.append(1)", "a > b ! a b"),
    ("b = [a]; b[0] = 1", "a > b ! b"),
    ("b = [a]; b[0].append(1)", "a > b ! a b"),
    ("b = [a]; c, = b; c.append(1)", "a > b c ! a b c"),
    ("b = {'k': a}; b['k'].append(1)", "a > b ! a b"),
    ("b, c = a, d; b.append(1)", "a d > b c ! a b"),
    ("(b := a).append(1)", "a > b ! a"),
    ("b = list(a); b[0] = 1", "a > b ! b"),
    ("b = a + c; b[0] = 1", "a c > b ! b"),
    ("b = a * 2; b += 1", "a > b ! b"),
    ("b = a + [1]; b[0][0] = 1", "a > b ! a b"),
    ("b = len(a); b.x()", "a > b ! b"),
    ("f = x.append; f(1)", "x > f ! x"),
    ("with a as b: b.f()", "a > b ! a b"),
    ("with a.b as c: pass", "a > c ! a"),
    ("d[k] = v; d[k].append(1)", "d k v > ! d v"),
    ("d[k] = v; d[k][0] = 1", "d k v > ! d v"),
    ("d[k] = v", "d k v > ! d"),
    ("e = d; d[k] = v; e[k].append(1)", "d k v > e ! d v e"),
    ("e = d; e[k] = v", "d k v > e ! d v e"),
    ("match x:\n case [a, b]: a.append(1)", "x > a b ! x a"),
    ("match x:\n case K(a=[c]): c.append(1)", "x K > c ! x c"),
    ("x = []; x.append(1)", "> x ! x"),
    ("raise x", "x > ! x"),
    ("await x", "x > ! x"),
    ("def f(): x.append(1)", "> f"),
    ("def f(): x.append(1)\nf()", "x > f ! x"),
    ("def f(a): a.append(1)\nf(x)", "x > f ! x"),
    ("def f(): return x\nf().append(1)", "x > f ! x"),
    ("def f(): return x\ny = f()\ny.append(1)", "x > f y ! x y"),
    ("def f(): return x\ny = f()\nprint(y)", "x > f y"),
    ("def f(): y = x; y.append(1)\nf()", "x > f ! x"),
    ("def f(a=x): a.append(1)\nf()", "x > f ! x"),
    ("def f(o): o.a = x\nf(p)", "x p > f ! x p"),
    ("def f(): global g; g = x\nf(); g.append(1)", "x g > f g ! x g"),
    ("def f():\n def g(a): a.append(1)\n g(x)\nf()", "x > f ! x"),
    ("class A: a = x\nA.a.append(1)", "x > A ! x A"),
    ("class A: a = x\nA().a.append(1)", "x > A ! x"),
    ("class A: a = x\ny = A()\ny.a.append(1)", "x > A y ! x y"),
    ("class A:\n def f(self): return x\nA().f().append(1)", "x > A ! x"),
    ("df['b'] = df['a'] * 2", "df > ! df"),
    ("df.loc[m, 'a'] = 0", "df m > ! df"),
    ("model.fit(X, y)", "model X y > ! model X y"),
    ("y = model(X)", "model X > y ! X"),
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
    ("!ls", ""),
    ("!echo {x} $y", "x y"),
    ("files = !ls {folder}", "folder > files"),
    ("%cd {folder}", "folder"),
    ("%cd $folder", "folder"),
]

TEXTS = [
    ("df.query('a > @low and b < @high')", "df low high > ! df"),
    ("df.eval('c = a + @k')", "df k > ! df"),
    ("df.query(f'a > @low {op}')", "df low op > ! df"),
]

EVERY = ORDER + BRANCHES + SCOPES + IMPORTS + CHANGES + BUILTINS + TEXTS


def parsed(text: str) -> dict[str, set[str]]:
    match = re.fullmatch(r"([^>!]*)(?:>([^-!]*)(?:-([^!]*))?)?(?:!(.*))?", text)
    assert match is not None, text
    keys = ("reads", "writes", "deletes", "mutates")
    return {key: set((part or "").split()) for key, part in zip(keys, match.groups(), strict=True)}


def told(facts: Facts) -> dict[str, set[str]]:
    return {key: set(getattr(facts, key)) for key in ("reads", "writes", "deletes", "mutates")}


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


PURE = [
    ("x + y; x[0]; x.shape; x == y; -x; f'{x}'; len(x); [v for v in x]", "x y"),
    ("x.mean(); x.sum(axis=0); x.copy(); x.keys(); x.split(y)", "x"),
    ("y = x; y.append(1)", ""),
    ("y = x.reshape(2, 3); y[0] = 1", ""),
    ("y = x.copy(); y[0] = 1", "x"),
    ("y = x.copy(); y[0][0] = 1", ""),
    ("f(x)", ""),
    ("x()", ""),
    ("x.partition(3)", ""),
    ("x.sort()", ""),
    ("x.get(k)", "x"),
    ("y = x", "x"),
    ("del x", "x"),
    ("for v in x: t = v * 2", "x"),
    ("eval('x')\nx", ""),
]


@pytest.mark.parametrize(("code", "names"), PURE)
def test_a_pure_read_cannot_change_a_builtin_or_numpy_value(code, names):
    assert analyze(code).pure_reads == set(names.split())


REQUIRED = [
    ("x", "x"),
    ("x = y", "y"),
    ("if c: x\ny", "c y"),
    ("if c: raise E\ny", "c"),
    ("for i in xs: x\ny", "xs y"),
    ("try: x\nexcept NameError: pass\ny", "y"),
    ("try: x\nfinally: y", "x"),
    ("x and y", "x"),
    ("x if c else y", "c"),
    ("[x for v in y]", "y"),
    ("lambda: x", ""),
    ("def f(): return x\nf()", ""),
    ("for i in xs: pass\nprint(i)", "xs"),
    ("if c: x = 1\nx", "c"),
    ("from a import *\nx", ""),
    ("exec(code)\nx", ""),
    ("with a: x", "a"),
    ("with open(p) as f: x", "p x"),
    ("while c: x\ny", "c y"),
    ("while True:\n x\n break\ny", "y"),
    ("del x", "x"),
    ("x += 1", ""),
    ("class A:\n for x in xs: pass\n y = x", "xs"),
    ("assert x, y", "x"),
    ("match x:\n case 1: y", "x"),
    ("df.query('a > @low')", "df"),
]


@pytest.mark.parametrize(("code", "names"), REQUIRED)
def test_a_required_name_is_one_whose_lack_is_an_error(code, names):
    assert analyze(code).required == set(names.split())


@pytest.mark.parametrize(
    ("code", "names"),
    [("f(x)", "f"), ("x.f()", ""), ("g = f; g(x)", "f g"), ("print(x)", ""), ("@d\ndef f(): pass", "d"),
     ("a.b = f", "")],
)  # fmt: skip
def test_called_names_are_told(code, names):
    assert analyze(code).calls == set(names.split())


@pytest.mark.parametrize(
    ("code", "names", "modules", "stars"),
    [
        ("import a.b, c as d", "a d", "a c", ()),
        ("from a.b import c", "c", "a", ()),
        ("from a.b import *", "", "a", ("a.b",)),
        ("def f():\n import a", "", "a", ()),
        ("import importlib\nm = importlib.import_module('a.b')", "importlib", "importlib a", ()),
        ("from . import a", "a", "", ()),
        ("class A:\n import b", "", "b", ()),
    ],
)
def test_imports_are_told(code, names, modules, stars):
    facts = analyze(code)
    assert facts.imports == set(names.split())
    assert facts.imported_modules == set(modules.split())
    assert facts.star_imports == stars


@pytest.mark.parametrize(
    "code",
    ["eval('x')", "exec(x)", "globals()['x']", "locals()", "vars()", "dir()", "get_ipython().user_ns", "f(eval)",
     "get_ipython().run_line_magic('run', 'a.py')", "import __main__", "sys._getframe()", "df.query(text)"],
)  # fmt: skip
def test_dynamic_uses_are_told(code):
    assert analyze(code).uses_dynamic


@pytest.mark.parametrize(
    "code",
    ["vars(x)", "dir(x)", "model.eval()", "get_ipython().run_line_magic('matplotlib', 'inline')", "df.query('a > 1')",
     "get_ipython().system('ls')", "get_ipython().run_line_magic('time', 'f(x)')"],
)  # fmt: skip
def test_harmless_uses_are_not_dynamic(code):
    assert not analyze(code).uses_dynamic


@pytest.mark.parametrize(
    ("code", "quiet"),
    [("x;", True), ("x; ", True), ("x;  # c", True), ("x;\n\n# c;", True), ("x", False), ("x # ;", False),
     ("x; y", False),
     ("'''\n;\n'''", False), ("if x:\n    y;\n", True), ("", False)],
)  # fmt: skip
def test_a_trailing_semicolon_keeps_a_cell_quiet(code, quiet):
    assert analyze(code).ends_quiet is quiet


@pytest.mark.parametrize(
    ("code", "awaits"),
    [("await x", True), ("async for a in b: pass", True), ("async with a: pass", True), ("[a async for a in b]", True),
     ("async def f(): await x", False), ("x", False)],
)  # fmt: skip
def test_await_at_cell_level_is_told(code, awaits):
    assert analyze(code).has_top_level_await is awaits


def test_words_of_formulas_and_sql_are_mentioned():
    assert {"df", "total"} <= analyze("duckdb.sql('select total from df')").mentions
    assert {"center"} <= analyze("smf.ols('y ~ center(x)', data=d)").mentions
    assert not analyze("f('x')").mentions


def test_the_line_of_the_first_read_is_told():
    facts = analyze("a\n\nb = c\ndef f():\n    return d\nf(); a")
    assert facts.reads_at == {"a": 1, "c": 3, "d": 5}


def test_lines_inside_a_cell_magic_are_those_of_the_cell():
    from IPython.core.inputtransformer2 import TransformerManager

    facts = analyze("%%time\n\nx", transform=TransformerManager().transform_cell)
    assert facts.reads_at == {"x": 3}


def test_functions_classes_and_lambdas_of_the_cell_can_be_followed():
    facts = analyze(
        "def f(a): return a + x\nclass A:\n    def m(self): global n; n = y\ng = lambda: z.pop()\ndef h(): return f(1)"
    )
    assert facts.reads == set()
    assert facts.functions.keys() == {"f", "A", "g", "h"}
    assert facts.functions["f"].reads == {"x"}
    assert facts.functions["A"].reads == {"y"}
    assert facts.functions["A"].writes == {"n"}
    assert facts.functions["g"].mutates == {"z"}
    assert facts.functions["h"].reads == {"f"}


def test_builtins_are_told_apart_and_count_as_names_where_the_notebook_shadows_them():
    assert analyze("print(len(x))").builtins_read == {"print", "len"}
    facts = analyze("print(len(x))", shadowed=["len", "other"])
    assert facts.reads == {"len", "x"}
    assert facts.mutates == {"x"}
    assert facts.builtins_read == {"print"}


@pytest.mark.parametrize(
    ("code", "line", "column"),
    [("x = 1\ny = (", 2, 5), ("x = = 1", 1, 5), ("\n\nreturn 1", 3, 1), ("break", 1, 1), ("yield x", 1, 1),
     ("def f(a, a): pass", 1, 10), ("def f(): nonlocal x", 1, 10), ("if x:\ny", 2, 1), ("x\x00", 1, 1),
     ("def f(): await x", 1, 10), ("def f(): x = 1; global x", 1, 17), ("!ls", 1, 1),
     ("for i in x:\n  pass\ncontinue", 3, 1)],
)  # fmt: skip
def test_a_cell_that_does_not_compile_is_refused_with_its_place(code, line, column):
    with pytest.raises(InvalidCell) as caught:
        analyze(code)
    assert (caught.value.line, caught.value.column) == (line, column)
    assert caught.value.step == ""
    assert caught.value.reason


def test_what_compiles_at_cell_level_is_not_refused():
    assert analyze("await x\nasync with a as b: pass\n[c async for c in d]").has_top_level_await
    assert analyze("def f():\n    global x\n    x = 1\n    def g():\n        nonlocal_ = 1").writes == {"f"}


def test_an_invalid_escape_warns_once_when_it_runs_and_not_here():
    assert analyze("x = '\\d'").writes == {"x"}


def test_deep_code_is_still_read():
    terms = " + ".join(f"x{i}" for i in range(300))
    assert len(analyze(f"y = {terms}").reads) == 300
    chain = "\n".join(f"elif x == {i}: y{i} = 1" for i in range(100))
    facts = analyze(f"if x: pass\n{chain}\nelse: z")
    assert {"x", "z"} <= facts.reads
    assert len(facts.writes) == 100
    assert analyze("x" + ".f()" * 100).reads == {"x"}


def test_code_too_deep_to_be_followed_is_told_coarsely_and_as_dynamic():
    facts = analyze("def f(): z\nx" + ".f()" * 450 + "\ny = f(x)")
    assert facts.uses_dynamic
    assert {"x", "z"} <= facts.reads
    assert {"x"} <= facts.mutates
    assert facts.writes == {"f", "y"}


def test_facts_survive_the_way_through_json():
    facts = analyze("import a\ndef f(): return x\ny = f()\ndel z\nq.sort();")
    assert Facts.from_dict(facts.to_dict()) == facts


def test_a_cell_of_fifty_lines_is_read_in_milliseconds():
    lines = [f"df['c{i}'] = np.log(df['a{i}'] + {i}) if flag else other[{i}].mean(axis=0)" for i in range(50)]
    times = []
    for attempt in range(10):
        source = "\n".join([*lines, str(attempt)])
        start = time.perf_counter()
        analyze(source)
        times.append(time.perf_counter() - start)
    assert min(times) < 0.01
