"""What a line changes in place, and which reads cannot.

A case is the code and its expected names, in the notation of tests.analysis.notation.
"""

from __future__ import annotations

import pytest

from cellyard.analysis import analyze
from tests.analysis.notation import parsed, told

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

TEXTS = [
    ("df.query('a > @low and b < @high')", "df low high > ! df"),
    ("df.eval('c = a + @k')", "df k > ! df"),
    ("df.query(f'a > @low {op}')", "df low op > ! df"),
]

EVERY = CHANGES + TEXTS


@pytest.mark.parametrize(("code", "names"), EVERY, ids=[code for code, _ in EVERY])
def test_the_names_of_a_line(code, names):
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
