"""What notebooks make, and what must hold where it is received.

Each case: the cell that makes the values, the names that are sent, the cell of assertions for the other side.
"""

from __future__ import annotations

__all__ = ["PYTHON", "SCIENCE"]

PYTHON: dict[str, tuple[str, str, str]] = {
    "constants": (
        """
        v = [None, True, 1, 2**100, 1.5, float('inf'), 1j, 'é\\ud800', b'\\0', ..., range(3), slice(1, 2)]
        """,
        "v",
        """
        assert v == [None, True, 1, 2**100, 1.5, float('inf'), 1j, 'é\\ud800', b'\\0', ..., range(3), slice(1, 2)]
        """,
    ),
    "containers": (
        "v = {'l': [1, (2,)], (1, 2): {3, frozenset({4})}, None: bytearray(b'x')}",
        "v",
        """
        assert v == {'l': [1, (2,)], (1, 2): {3, frozenset({4})}, None: bytearray(b'x')}
        assert list(v)[0] == 'l'
        """,
    ),
    "the standard library": (
        """
        import collections, datetime, decimal, fractions, pathlib, re, uuid, types
        v = [collections.Counter('aab'), collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 5),
             collections.defaultdict(list, a=[1]), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
             decimal.Decimal('1.10'), fractions.Fraction(1, 3), pathlib.Path('/x'), re.compile('a+', re.I),
             uuid.UUID(int=5), types.SimpleNamespace(a=1), collections.ChainMap({}, {'a': 1})]
        text = repr(v)
        """,
        "v text",
        "assert repr(v) == text; v[3]['new'].append(1); assert v[2].maxlen == 5",
    ),
    "a cycle": (
        "v = [1]; v.append(v); d = {}; d['d'] = d",
        "v d",
        "assert v[1] is v; assert d['d'] is d",
    ),
    "aliases among names": (
        "a = [1]; b = {'a': a}; c = [1]",
        "a b c",
        "a.append(2); assert b['a'] is a; assert c == [1]",
    ),
    "a large text": (
        "v = 'abc' * 1_000_000",
        "v",
        "assert v == 'abc' * 1_000_000",
    ),
    "an exception": (
        """
        class Bad(ValueError):
            def __init__(self, a, b):
                super().__init__(a)
                self.b = b
            def __reduce__(self): return Bad, (self.args[0], self.b)
        v = Bad('x', [1])
        """,
        "v Bad",
        "assert isinstance(v, Bad) and v.args == ('x',) and v.b == [1]",
    ),
    "modules": (
        "import math, os.path; v = [math, os.path]",
        "v math",
        "assert v[0] is math; assert v[1].sep == '/'",
    ),
    "functions of a module": (
        "import math, os; v = [math.sin, os.path.join, len]",
        "v",
        "assert v[2]('ab') == 2",
    ),
    "a lambda": (
        "k = 3; v = [lambda x: x + k]",
        "v k",
        "assert v[0](1) == 4; k = 10; assert v[0](1) == 11",
    ),
    "recursion": (
        "def fact(n): return 1 if n < 2 else n * fact(n - 1)",
        "fact",
        """
        assert fact(5) == 120; assert fact.__module__ == '__main__'; assert fact.__globals__ is globals()
        """,
    ),
    "mutual recursion": (
        """
        def even(n): return n == 0 or odd(n - 1)
        def odd(n): return n != 0 and even(n - 1)
        """,
        "even odd",
        "assert even(10) and not odd(10)",
    ),
    "a global changed by a function": (
        """
        count = 0
        def up():
            global count
            count += 1
        """,
        "count up",
        "up(); up(); assert count == 2",
    ),
    "defaults, annotations, documentation": (
        """
        def f(a: int, b=[1], *, c={'k': 2}) -> str:
            'what f does'
            return a, b, c
        f.mark = [5]
        """,
        "f",
        """
        assert f(0) == (0, [1], {'k': 2}); assert f.__doc__ == 'what f does'; assert f.mark == [5]
        import inspect; assert list(inspect.signature(f).parameters) == ['a', 'b', 'c']
        assert f.__annotations__['return'] in (str, 'str')
        """,
    ),
    "a closure": (
        """
        def make(n):
            def add(x): return x + n
            return add
        add = make(5)
        """,
        "add",
        "assert add(1) == 6",
    ),
    "closures that share a cell": (
        """
        def make():
            n = 0
            def up():
                nonlocal n
                n += 1
            def get(): return n
            return up, get
        up, get = make(); up()
        """,
        "up get",
        "up(); assert get() == 2",
    ),
    "a closure over itself": (
        """
        def make():
            def fact(n): return 1 if n < 2 else n * fact(n - 1)
            return fact
        f = make()
        """,
        "f",
        "assert f(5) == 120",
    ),
    "a generator function and a coroutine function": (
        """
        def g():
            yield 1
        async def c(): return 2
        """,
        "g c",
        """
        assert list(g()) == [1]
        import asyncio; assert asyncio.run(c()) == 2
        """,
    ),
    "partial": (
        """
        import functools
        def f(a, b, c): return [a, b, c]
        p = functools.partial(f, 1, c=[3])
        """,
        "p f",
        "assert p(2) == [1, 2, [3]]; assert p.func is f",
    ),
    "lru_cache": (
        """
        import functools
        @functools.lru_cache(maxsize=7)
        def fib(n): return n if n < 2 else fib(n-1) + fib(n-2)
        fib(30)
        """,
        "fib",
        "assert fib(50) == 12586269025; assert fib.cache_info().maxsize == 7",
    ),
    "a decorator of the notebook": (
        """
        import functools
        def twice(f):
            @functools.wraps(f)
            def inner(*a): return f(f(*a))
            return inner
        @twice
        def up(x): return x + 1
        @twice
        def double(x): return x * 2
        """,
        "up double",
        """
        assert up(1) == 3 and double(1) == 4; assert up.__name__ == 'up'; assert up.__wrapped__(1) == 2
        """,
    ),
    "a decorator of a library": (
        """
        import contextlib
        log = []
        @contextlib.contextmanager
        def noted(n):
            log.append(n)
            yield n
        """,
        "noted log",
        """
        with noted(3) as n: assert n == 3
        assert log == [3]
        """,
    ),
    "single dispatch": (
        """
        import functools
        @functools.singledispatch
        def kind(x): return 'any'
        @kind.register
        def _(x: int): return 'int'
        kind('')
        """,
        "kind",
        "assert kind('') == 'any'; assert kind(5) == 'int'",
    ),
    "a class": (
        """
        class A:
            shared = [1]
            def __init__(self, x): self.x = x
            def double(self): return 2 * self.x
            @classmethod
            def make(cls): return cls(7)
            @staticmethod
            def three(): return 3
            @property
            def y(self): return self.x
            @y.setter
            def y(self, v): self.x = v
        a = A([1])
        """,
        "A a",
        """
        assert type(a) is A; assert a.double() == [1, 1]; assert A.make().x == 7; assert A.three() == 3
        a.y = 9; assert a.x == 9; assert A.__module__ == '__main__' and A.shared == [1]
        """,
    ),
    "inheritance with super": (
        """
        class A:
            def f(self): return ['A']
        class M:
            def f(self): return super().f() + ['M']
        class B(M, A):
            def f(self): return super().f() + ['B']
        b = B()
        """,
        "b A B",
        "assert b.f() == ['A', 'M', 'B']; assert isinstance(b, A); assert B().f() == b.f()",
    ),
    "a nested class": (
        """
        class Outer:
            class Inner:
                def up(self): return Outer
            def make(self): return self.Inner()
        v = Outer().make()
        """,
        "v Outer",
        """
        assert type(v) is Outer.Inner; assert v.up() is Outer; assert Outer.Inner.__qualname__ == 'Outer.Inner'
        """,
    ),
    "a class made in a function": (
        """
        def make():
            class Local:
                def me(self): return Local
            return Local()
        v = make()
        """,
        "v",
        "assert v.me() is type(v)",
    ),
    "enums": (
        """
        import enum
        class Colour(enum.Enum):
            RED = 1
            BLUE = 'b'
            def hot(self): return self is Colour.RED
        class Bits(enum.IntFlag):
            A = 1
            B = 2
        v = {Colour.RED: [Colour.BLUE]}; w = Bits.A | Bits.B
        """,
        "v w Colour Bits",
        """
        assert v[Colour.RED] == [Colour.BLUE]; assert list(v)[0] is Colour.RED and Colour.RED.hot()
        assert Colour('b') is Colour.BLUE; assert w == Bits(3) and Bits.A in w
        """,
    ),
    "an enum with an alias and a constructor": (
        """
        import enum
        class Planet(enum.Enum):
            EARTH = (1, 'blue')
            HOME = (1, 'blue')
            MARS = (2, 'red')
            def __init__(self, number, colour): self.colour = colour
        v = Planet.HOME
        """,
        "v Planet",
        "assert v is Planet.EARTH is Planet.HOME and Planet.MARS.colour == 'red' and Planet['HOME'] is v",
    ),
    "dataclasses": (
        """
        import dataclasses
        @dataclasses.dataclass
        class P:
            x: int
            y: list = dataclasses.field(default_factory=list)
        @dataclasses.dataclass(frozen=True, slots=True)
        class Q:
            p: P
            z: float = 1.0
        v = Q(P(1, [2]))
        """,
        "v P Q",
        """
        import dataclasses
        assert v == Q(P(1, [2])); assert P(3).y == []; assert dataclasses.replace(v, z=2.0).z == 2.0
        try: v.z = 5
        except dataclasses.FrozenInstanceError: pass
        else: raise AssertionError
        """,
    ),
    "slots": (
        """
        class S:
            __slots__ = ('a', 'b')
            def __init__(self): self.a = [1]
        class T(S):
            __slots__ = ('c',)
        t = T(); t.c = t.a
        """,
        "t T S",
        "assert t.a is t.c and not hasattr(t, 'b') and not hasattr(t, '__dict__'); T().a",
    ),
    "private slots and a slot for weak references": (
        """
        import weakref
        class S:
            __slots__ = ('__x', '__weakref__')
            def __init__(self): self.__x = [1]
            def x(self): return self.__x
        s = S()
        """,
        "s S weakref",
        "assert s.x() == [1] and S().x() == [1] and weakref.ref(s)() is s and not hasattr(s, '__dict__')",
    ),
    "a class that hears of its subclasses": (
        """
        known = {}
        class Base:
            def __init_subclass__(cls, *, tag, **more):
                super().__init_subclass__(**more)
                known[tag] = cls
        class Child(Base, tag='child'): pass
        v = Child()
        """,
        "v Child Base known",
        "class Other(Base, tag='other'): pass\nassert known == {'child': Child, 'other': Other} and type(v) is Child",
    ),
    "abstract classes": (
        """
        import abc
        class Shape(abc.ABC):
            @abc.abstractmethod
            def area(self): ...
        class Square(Shape):
            def area(self): return 4
        Shape.register(int)
        v = Square()
        """,
        "v Shape Square",
        """
        assert isinstance(v, Shape) and isinstance(5, Shape) and v.area() == 4
        try: Shape()
        except TypeError: pass
        else: raise AssertionError
        """,
    ),
    "named tuples": (
        """
        import collections, typing
        N = collections.namedtuple('N', 'a b')
        class T(typing.NamedTuple):
            x: int
            y: list = []
            def up(self): return self.x + 1
        v = [N(1, [2]), T(3)]
        """,
        "v N T",
        "assert v == [N(1, [2]), T(3)]; assert v[0].b == [2]; assert type(v[1]) is T and v[1].up() == 4",
    ),
    "generics": (
        """
        import typing
        X = typing.TypeVar('X')
        class Stack(typing.Generic[X]):
            def __init__(self): self.items: list[X] = []
        v = Stack[int](); w = Stack[str]
        class Td(typing.TypedDict):
            a: int
        class Pr(typing.Protocol):
            def f(self): ...
        """,
        "v w Stack Td Pr",
        """
        assert type(v) is Stack and isinstance(w(), Stack)
        assert Td(a=1) == {'a': 1}
        assert Pr.__name__ == 'Pr'
        """,
    ),
    "a metaclass and a descriptor": (
        """
        class Meta(type):
            def __call__(cls, *a):
                o = super().__call__(*a); o.made = True; return o
        class Ten:
            def __get__(self, o, t=None): return 10
        class A(metaclass=Meta):
            ten = Ten()
        a = A()
        """,
        "a A",
        "assert a.made and A().made and a.ten == 10",
    ),
    "callables and reductions of one's own": (
        """
        class F:
            def __init__(self, n): self.n = n
            def __call__(self, x): return x + self.n
            def __getstate__(self): return {'n': self.n + 1}
            def __setstate__(self, s): self.n = s['n'] * 10
        f = F(1)
        """,
        "f",
        "assert f(0) == 20",
    ),
    "bound methods": (
        """
        class A:
            def __init__(self): self.log = []
            def add(self, x): self.log.append(x)
        a = A(); add = a.add
        """,
        "a add",
        "add(1); assert a.log == [1]; assert add.__self__ is a",
    ),
    "a cached property and a weak reference": (
        """
        import functools
        class A:
            @functools.cached_property
            def slow(self): return [1]
        a = A(); b = A(); b.slow.append(2)
        """,
        "a b",
        "assert a.slow == [1] and b.slow == [1, 2]",
    ),
}
SCIENCE: dict[str, tuple[str, str, str]] = {
    "arrays": (
        """
        import numpy as np
        big = np.arange(100_000.0).reshape(100, 1000)
        columns = np.asfortranarray(big[:, :900])
        every = big[::2, ::3]
        small = np.array([1, 2], dtype='>i2')
        empty = np.empty((0, 3))
        one = np.array(5)
        text = np.array(['a', 'bc'])
        dates = np.array(['2024-01-01'], dtype='M8[D]'); objects = np.array([[1], None, 'x'], dtype=object)
        table = np.zeros(3, dtype=[('a', 'i4'), ('b', 'f8', (2,))])
        masked = np.ma.masked_greater(np.arange(5), 2)
        """,
        "big columns every small empty one text dates objects table masked",
        """
        import numpy as np
        whole = np.arange(100_000.0).reshape(100, 1000)
        assert (big == whole).all() and (columns == whole[:, :900]).all() and (every == whole[::2, ::3]).all()
        assert columns.flags.f_contiguous and small.dtype == '>i2' and small.tolist() == [1, 2]
        assert empty.shape == (0, 3) and one == 5 and text.tolist() == ['a', 'bc'] and str(dates[0]) == '2024-01-01'
        assert objects.tolist() == [[1], None, 'x'] and table.dtype.names == ('a', 'b') and masked.sum() == 3
        big[0, 0] = -1; assert every[0, 0] == -1, 'a view goes on sharing'; assert columns[0, 0] == 0
        """,
    ),
    "views": (
        """
        import numpy as np
        a = np.arange(50_000)
        head = a[:10]
        back = a[::-1]
        bits = a.view('u8')
        turned = a.reshape(100, 500).T
        base = np.zeros(1000); left, right = base[:600], base[400:]; del base
        fixed = a[5:]; fixed.flags.writeable = False; inner = {'w': [a[20:30]]}
        """,
        "a head back bits turned left right fixed inner",
        """
        a[1] = 99; assert head[1] == back[-2] == bits[1] == turned[1, 0] == 99
        left[450] = 7; assert right[50] == 7
        a[25] = -5; assert inner['w'][0][5] == -5 and fixed[20] == -5 and not fixed.flags.writeable
        """,
    ),
    "a read-only array": (
        """
        import numpy as np
        v = np.arange(20_000.0); v.flags.writeable = False
        """,
        "v",
        "assert v[5] == 5.0 and not v.flags.writeable",
    ),
    "frames": (
        """
        import pandas as pd, numpy as np
        f = pd.DataFrame({'a': np.arange(20_000), 'b': 'text', 'c': pd.Categorical(['x', 'y'] * 10_000),
                          't': pd.date_range('2024', periods=20_000, freq='h', tz='UTC'),
                          'n': pd.array([1, None] * 10_000, dtype='Int64')}, index=pd.RangeIndex(5, 20_005, name='i'))
        wide = f.set_index(['a', 'c']); s = f['t']; parts = dict(list(f.head(10).groupby('c', observed=True)))
        f.attrs['from'] = [1]; empty = pd.DataFrame()
        """,
        "f wide s parts empty",
        """
        import pandas as pd
        assert f.shape == (20_000, 5) and f.a.sum() == 199_990_000 and f.index.name == 'i' and f.attrs == {'from': [1]}
        assert str(f.dtypes['n']) == 'Int64' and f.n.isna().sum() == 10_000 and str(f.t.dt.tz) == 'UTC'
        assert wide.index.names == ['a', 'c'] and s.iloc[1] == pd.Timestamp('2024-01-01 01:00', tz='UTC')
        assert parts['x'].shape == (5, 5) and empty.empty
        f.loc[5, 'a'] = 100; assert f.a.iloc[0] == 100; f['new'] = 1; assert wide.shape == (20_000, 3)
        """,
    ),
    "sparse matrices": (
        """
        import scipy.sparse as sp
        m = sp.random(1000, 1000, 0.05, format='csr', rng=1); t = m.T.tocoo(); total = m.sum()
        """,
        "m t total",
        """
        assert m.format == 'csr' and abs(m.sum() - total) < 1e-9 and (m.T != t).nnz == 0
        m.data[:] = 1
        assert m.sum() == m.nnz
        """,
    ),
    "a fitted pipeline": (
        """
        import numpy as np
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler, FunctionTransformer
        from sklearn.ensemble import RandomForestClassifier
        def log(x): return np.log1p(np.abs(x))
        rng = np.random.default_rng(0); X = rng.normal(size=(300, 5)); y = (X[:, 0] > 0).astype(int)
        forest = RandomForestClassifier(8, random_state=0)
        model = make_pipeline(FunctionTransformer(log), StandardScaler(), forest).fit(X, y)
        expected = model.predict_proba(X); state = rng.bit_generator.state['state']
        """,
        "model X expected rng state np log",
        """
        assert (model.predict_proba(X) == expected).all() and model[0].func is log
        assert rng.bit_generator.state['state'] == state; rng.normal()
        """,
    ),
}
