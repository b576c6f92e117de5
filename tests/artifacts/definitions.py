"""What notebooks define, and what must hold where it is received.

Each case: the cell that makes the values, the names that are sent, the cell of assertions for the other side.
"""

from __future__ import annotations

__all__ = ["DEFINITIONS"]

DEFINITIONS: dict[str, tuple[str, str, str]] = {
    "recursion": (
        "def fact(n): return 1 if n < 2 else n * fact(n - 1)",
        "fact",
        """
        assert fact(5) == 120; assert fact.__module__ == '__main__'; assert fact.__globals__ is globals()
        assert fact.__code__.co_filename == '<cell>'  # as tracebacks name it
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
        "up(); assert get() == 2; assert up.__code__.co_filename == get.__code__.co_filename == '<cell>'",
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
