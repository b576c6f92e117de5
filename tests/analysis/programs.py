"""Small random programs over a handful of names, and a namespace that tells what they really do. For tests."""

from __future__ import annotations

import ast
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

__all__ = ["NAMES", "Observed", "observe", "programs", "straight_programs"]

NAMES = ("a", "b", "c", "d", "e")
FUNCTIONS = ("f", "g")
LOOK_UPS = 1000


def fresh_namespace() -> dict[str, Any]:
    """Every name bound to a list of its own; the functions of before leave their arguments alone."""
    values: dict[str, Any] = {name: [[number, 1], [number]] for number, name in enumerate(NAMES)}
    for name in FUNCTIONS:
        values[name] = lambda *args: [list(arg) if isinstance(arg, list) else arg for arg in args]
    return values


class TooLong(BaseException):
    """A program has looked up too many names (functions of random programs call each other for ever)."""


class _Namespace(dict[str, Any]):
    """A namespace that notes every access that Python makes by name."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(values)
        self.initial = dict(values)
        self.replaced: set[str] = set()
        self.read: set[str] = set()
        self.written: set[str] = set()
        self.deleted: set[str] = set()
        self.looked_up = 0

    def __getitem__(self, name: str) -> Any:
        self.looked_up += 1
        if self.looked_up > LOOK_UPS:
            raise TooLong
        value = super().__getitem__(name)
        if name in self.initial and name not in self.replaced and value is self.initial[name]:
            self.read.add(name)
        return value

    def __setitem__(self, name: str, value: Any) -> None:
        self.written.add(name)
        self.replaced.add(name)
        super().__setitem__(name, value)

    def __delitem__(self, name: str) -> None:
        if name in self.initial and name not in self.replaced:
            self.read.add(name)
        super().__delitem__(name)
        self.deleted.add(name)
        self.replaced.add(name)


@dataclass
class Observed:
    """What a program really did, as far as it came."""

    read: set[str]
    written: set[str]
    deleted: set[str]
    changed: set[str]
    bound: set[str]
    """Names which in the end have another value than before."""
    completed: bool
    error: str = ""


def observe(source: str, without: Collection[str] = ()) -> Observed:
    """Run a program in a fresh namespace that lacks the names ``without``."""
    values = {name: value for name, value in fresh_namespace().items() if name not in without}
    parts = {name: _lists_in(values[name]) for name in NAMES if name in values}
    before = {name: [list(part) for part in parts[name]] for name in parts}
    space = _Namespace(values)
    error = ""
    code = compile(source, "<program>", "exec", dont_inherit=True)
    try:
        exec(code, space)
    except (Exception, TooLong) as problem:  # noqa: BLE001 - a random program may fail in any way
        error = type(problem).__name__
    final = {name: value for name, value in dict.items(space) if not name.startswith("__")}
    # STORE_GLOBAL and DELETE_GLOBAL do not ask the namespace: what they did is seen at the end.
    written = {name for name in space.written if not name.startswith("__")}
    bound = {name for name, value in final.items() if space.initial.get(name, space) is not value}
    written |= bound
    deleted = space.deleted | (space.initial.keys() - final.keys())
    changed = {name for name in parts if _differs(parts[name], before[name])}
    return Observed(space.read, written, deleted, changed, bound, not error, error)


def _lists_in(value: list[Any]) -> list[list[Any]]:
    return [value, *(part for part in value if isinstance(part, list))]


def _differs(parts: list[list[Any]], before: list[list[Any]]) -> bool:
    return any(
        len(now) != len(then) or any(x is not y for x, y in zip(now, then, strict=True))
        for now, then in zip(parts, before, strict=True)
    )


# -- the grammar

_name = st.sampled_from(NAMES)
_function = st.sampled_from(FUNCTIONS)


def _expressions() -> st.SearchStrategy[str]:
    leaf = st.one_of(_name, _name, st.sampled_from(["1", "[]", "[0]"]))

    def larger(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
        two = st.tuples(inner, inner)
        return st.one_of(
            inner.map(lambda x: f"{x}[0]"),
            inner.map(lambda x: f"[{x}]"),
            inner.map(lambda x: f"({x},)[0]"),
            inner.map(lambda x: f"[*{x}]"),
            inner.map(lambda x: f"list({x})"),
            inner.map(lambda x: f"({x}).copy()"),
            inner.map(lambda x: f"[len({x})]"),
            inner.map(lambda x: f"max({x}, [])"),
            inner.map(lambda x: f"(lambda: {x})()"),
            inner.map(lambda x: f"{{'k': {x}}}.get('k')"),
            inner.map(lambda x: f"sorted({x}, key=lambda v: len(v) if v else 0)"),
            inner.map(lambda x: f"[str(f'{{{x}!r:>3}}')]"),
            two.map(lambda p: f"({p[0]} + [{p[1]}])"),
            two.map(lambda p: f"({p[0]} or {p[1]})"),
            two.map(lambda p: f"({p[0]} and {p[1]})"),
            two.map(lambda p: f"({p[0]} if len({p[1]}) > 1 else {p[1]})"),
            st.tuples(_name, inner, inner).map(lambda p: f"[{p[0]} for {p[0]} in {p[1]} if {p[2]}]"),
            st.tuples(_name, inner, inner).map(lambda p: f"[{p[2]} for {p[0]} in {p[1]}]"),
            st.tuples(_name, inner, inner).map(lambda p: f"list({p[2]} for {p[0]} in {p[1]})"),
            st.tuples(_name, inner).map(lambda p: f"({p[0]} := {p[1]})"),
            st.tuples(_name, inner, inner).map(lambda p: f"(lambda {p[0]}: {p[1]})({p[2]})"),
            st.tuples(_function, inner).map(lambda p: f"{p[0]}({p[1]})"),
            st.tuples(_name, inner).map(lambda p: f"[{p[0]} := {p[1]} for _ in [1]]"),
        )

    return st.recursive(leaf, larger, max_leaves=4)


expressions = _expressions()


def _simple_statements() -> st.SearchStrategy[str]:
    pair = st.tuples(_name, expressions)
    return st.one_of(
        pair.map(lambda p: f"{p[0]} = {p[1]}"),
        pair.map(lambda p: f"{p[0]} = {p[1]}"),
        pair.map(lambda p: f"{p[0]} += [{p[1]}]"),
        pair.map(lambda p: f"{p[0]}[0] = {p[1]}"),
        pair.map(lambda p: f"{p[0]}.append({p[1]})"),
        pair.map(lambda p: f"{p[0]}[0].append({p[1]})"),
        pair.map(lambda p: f"{p[0]}[:1] = [{p[1]}]"),
        pair.map(lambda p: f"{p[0]}, *{p[0]}_rest = {p[1]}"),
        st.tuples(_name, _name, expressions).map(lambda p: f"{p[0]}, {p[1]} = {p[2]}"),
        st.tuples(_name, _name, expressions).map(lambda p: f"{p[0]} = {p[1]} = {p[2]}"),
        st.tuples(_name, _name).map(lambda p: f"{p[0]}, {p[1]} = {p[1]}, {p[0]}"),
        pair.map(lambda p: f"{p[0]}: list = {p[1]}"),
        _name.map(lambda name: f"del {name}"),
        _name.map(lambda name: f"del {name}[0]"),
        expressions,
        _name.map(lambda name: f"import string as {name}"),
        pair.map(lambda p: f"{p[0]} = lambda: {p[1]}"),
        st.tuples(_function, expressions).map(lambda p: f"{p[0]} = lambda: {p[1]}"),
        _function.map(lambda name: f"{name}()"),
        st.just("assert a or True"),
    )


def _indented(body: str) -> str:
    return "\n".join("    " + line for line in body.splitlines())


def _blocks(inner: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    body = st.lists(inner, min_size=1, max_size=3).map(lambda lines: _indented("\n".join(lines)))
    leave = st.sampled_from(["", "\n    break", "\n    continue", "\n    if len(a) > 1: break", "\n    if b: continue"])
    return st.one_of(
        st.tuples(expressions, body, body).map(lambda p: f"if {p[0]}:\n{p[1]}\nelse:\n{p[2]}"),
        st.tuples(expressions, body).map(lambda p: f"if not ({p[0]}):\n{p[1]}"),
        st.tuples(_name, expressions, body, leave, body).map(
            lambda p: f"for {p[0]} in list({p[1]})[:2]:\n{p[2]}{p[3]}\nelse:\n{p[4]}"
        ),
        st.tuples(_name, body, leave).map(lambda p: f"for {p[0]} in [[1], [2]]:\n{p[1]}{p[2]}"),
        st.tuples(body, st.sampled_from(["break", "if a: break\n    break"])).map(
            lambda p: f"while True:\n{p[0]}\n    {p[1]}"
        ),
        st.tuples(expressions, body).map(lambda p: f"while {p[0]}:\n{p[1]}\n    break"),
        st.tuples(body, _name, body, body, body).map(
            lambda p: f"try:\n{p[0]}\nexcept Exception as {p[1]}:\n{p[2]}\nelse:\n{p[3]}\nfinally:\n{p[4]}"
        ),
        st.tuples(body, body).map(lambda p: f"try:\n{p[0]}\nexcept (TypeError, IndexError):\n{p[1]}"),
        st.tuples(body, body).map(lambda p: f"try:\n{p[0]}\nexcept Exception:\n{p[1]}\n    raise"),
        st.tuples(body, body).map(lambda p: f"try:\n{p[0]}\nfinally:\n{p[1]}"),
        st.tuples(_name, body).map(
            lambda p: f"import contextlib\nwith contextlib.suppress(Exception) as {p[0]}:\n{p[1]}"
        ),
        st.tuples(expressions, _name, _name, body, body).map(
            lambda p: (
                f"match {p[0]}:\n    case [{p[1]}, *{p[2]}_rest]:\n{_indented(p[3])}\n    case {p[2]}:\n"
                + _indented(p[4])
            )
        ),
        st.tuples(_function, _name, body, expressions, st.booleans()).map(
            lambda p: (
                f"def {p[0]}({p[1]}=e):\n{_indented('pass')}\n{p[2]}\n    return {p[3]}"
                + ("\n" + p[0] + "()" if p[4] else "")
            )
        ),
        st.tuples(_function, _name, body, expressions).map(
            lambda p: f"def {p[0]}(*args):\n    global {p[1]}\n{p[2]}\n    return {p[3]}\n{p[0]}()"
        ),
        st.tuples(_name, _name, expressions, body).map(
            lambda p: (
                f"class {p[0]}:\n    {p[1]} = {p[1]}\n    z = {p[2]}\n    def m(self):\n{_indented(p[3])}\n"
                f"        return self.z\n{p[0]}().m().append(1)"
            )
        ),
        st.tuples(_name, body).map(lambda p: f"class {p[0]}:\n{p[1]}"),
    )


def _valid(source: str) -> bool:
    try:
        ast.parse(source)
        compile(source, "<program>", "exec", dont_inherit=True)
    except SyntaxError:
        return False
    return True


statements = st.recursive(_simple_statements(), _blocks, max_leaves=6)
programs = st.lists(statements, min_size=1, max_size=5).map("\n".join).filter(_valid)
straight_programs = st.lists(_simple_statements(), min_size=1, max_size=6).map("\n".join).filter(_valid)
