"""Reads expressions: which names they load, and what their results share. Pure.

:class:`ExpressionReader` is the lower half of the reader of a cell; :mod:`cellyard.analysis.statements` is
the upper. Calls are in :mod:`cellyard.analysis.calls`."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from cellyard.analysis.aliases import NOTHING, Value, held, reached
from cellyard.analysis.bindings import NO_NAMES, NameReader
from cellyard.analysis.ledger import Ledger
from cellyard.analysis.scopes import parameters, scope_of, target_names

__all__ = ["ExpressionReader"]


class ExpressionReader(NameReader):
    """Walks expressions in the order in which Python evaluates them."""

    readers: ClassVar[dict[type, Callable[[Any, Any], Value]]] = {}

    # -- expressions

    def value(self, node: ast.AST) -> Value:
        """Read one expression; what its result shares."""
        return self.readers.get(type(node), ExpressionReader.parts)(self, node)

    def parts(self, node: ast.AST) -> Value:
        """Read every part of ``node``, in order; the result holds them."""
        found: Value = NOTHING
        for child in ast.iter_child_nodes(node):
            found += self.value(child)
        return held(found)

    def discard(self, node: ast.AST) -> Value:
        """Read every part of ``node``; the result shares nothing."""
        for child in ast.iter_child_nodes(node):
            self.value(child)
        return NOTHING

    def nothing(self, _node: ast.AST) -> Value:
        """A node without names."""
        return NOTHING

    def name(self, node: ast.Name) -> Value:
        return self.load(node.id, node.lineno)

    def part(self, node: ast.Attribute | ast.Starred) -> Value:
        return reached(self.value(node.value))

    def subscript(self, node: ast.Subscript) -> Value:
        value = self.value(node.value)
        self.value(node.slice)
        return reached(value)

    def binary(self, node: ast.BinOp) -> Value:
        rights: list[ast.expr] = []
        left: ast.expr = node
        while isinstance(left, ast.BinOp):
            rights.append(left.right)
            left = left.left
        found = set(self.value(left))
        for right in reversed(rights):
            found.update(self.value(right))
        return held(tuple(found))

    def unary(self, node: ast.UnaryOp) -> Value:
        value = self.value(node.operand)
        return NOTHING if isinstance(node.op, ast.Not) else held(value)

    def either(self, node: ast.BoolOp) -> Value:
        found = self.value(node.values[0])
        with self.perhaps():
            for value in node.values[1:]:
                found += self.value(value)
        return found

    def conditional(self, node: ast.IfExp) -> Value:
        self.value(node.test)
        with self.perhaps():
            first = self.value(node.body)
        with self.perhaps():
            return first + self.value(node.orelse)

    def comparison(self, node: ast.Compare) -> Value:
        self.value(node.left)
        self.value(node.comparators[0])
        if len(node.comparators) > 1:
            with self.perhaps():
                for comparator in node.comparators[1:]:
                    self.value(comparator)
        return NOTHING

    @contextmanager
    def perhaps(self, *, binding: bool = False) -> Iterator[None]:
        """What is read here may not run: it binds nothing for sure, and needs nothing for sure.

        Expressions bind by ``:=`` only; ``binding`` says that statements are read.
        """
        certain, bound = self.certain, self.bound
        self.certain = False
        if self.has_walrus or binding:
            self.bound = set(bound)
        try:
            yield
        finally:
            self.certain, self.bound = certain, bound

    def dictionary(self, node: ast.Dict) -> Value:
        found: Value = NOTHING
        for key, value in zip(node.keys, node.values, strict=True):
            if key is not None:
                found += self.value(key)
            found += self.value(value)
        return held(found)

    def walrus(self, node: ast.NamedExpr) -> Value:
        value = self.value(node.value)
        self.store(node.target.id, value)
        return value

    def awaited(self, node: ast.Await) -> Value:
        if not self.in_function:
            self.awaits = True
        elif not self.in_async:
            self.suspicious = True
        value = self.value(node.value)
        self.expose(value)
        return reached(value)

    def yielded(self, node: ast.Yield | ast.YieldFrom) -> Value:
        self.suspicious = self.suspicious or not self.in_function
        if node.value is not None:
            value = self.value(node.value)
            self.escape(value)
            if isinstance(node, ast.YieldFrom):
                self.expose(value)
        return NOTHING

    def unnamed_function(self, node: ast.Lambda) -> Value:
        ledger = self.function(node)
        self.run(ledger)
        return held(tuple(ledger.result))

    def comprehension(self, node: ast.ListComp | ast.SetComp | ast.GeneratorExp | ast.DictComp) -> Value:
        first = self.value(node.generators[0].iter)
        saved = self.table, self.class_names, self.certain, self.bound
        mark = self.fresh_mark()
        own = {name: name + mark for one in node.generators for name in target_names(one.target)}
        self.table, self.class_names, self.certain = {**self.table, **own}, NO_NAMES, False
        if self.has_walrus:
            self.bound = set(self.bound)
        for position, one in enumerate(node.generators):
            source = first if position == 0 else self.value(one.iter)
            if one.is_async and not self.in_function:
                self.awaits = True
            self.assign(one.target, reached(source))
            for condition in one.ifs:
                self.value(condition)
        if isinstance(node, ast.DictComp):
            found = self.value(node.key) + self.value(node.value)
        else:
            found = self.value(node.elt)
        self.table, self.class_names, self.certain, self.bound = saved
        return held(found)

    # -- functions

    def function(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Ledger:
        """The account of a function's body. Its defaults are read here, in the scope around it."""
        arguments = node.args
        positional = [arg.arg for arg in (*arguments.posonlyargs, *arguments.args)]
        values = [self.value(default) for default in arguments.defaults]
        defaults = dict(zip(positional[len(positional) - len(values) :], values, strict=True))
        for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
            if default is not None:
                defaults[arg.arg] = self.value(default)
        body = [node.body] if isinstance(node, ast.Lambda) else node.body
        scope = scope_of(body, walrus=self.has_walrus)
        names = parameters(arguments)
        if scope.globals or scope.nonlocals or len(set(names)) < len(names):
            self.suspicious = True
        mark = self.fresh_mark()
        private = self.private
        own = {*names, *scope.own}
        if private:
            own = {self.mangled(name) if name.startswith("__") else name for name in own}
        table = {**self.table, **{name: name + mark for name in own}}
        for name in scope.globals:
            table.pop(name, None)
        for name, value in defaults.items():
            self.aliases.bind(name + mark, value)
        with self.inside(table, is_async=isinstance(node, ast.AsyncFunctionDef)) as ledger:
            if isinstance(node, ast.Lambda):
                self.escape(self.value(node.body))
            else:
                self.block(node.body)
        return ledger

    def block(self, body: list[ast.stmt]) -> None:
        """Read statements (the upper half does)."""
        raise NotImplementedError

    # -- targets

    def assign(self, target: ast.expr, value: Value) -> None:
        """Bind an assignment target."""
        if isinstance(target, ast.Name):
            self.store(target.id, value)
        elif isinstance(target, (ast.Tuple, ast.List)):
            inner = reached(value)
            for element in target.elts:
                self.assign(element, inner)
        elif isinstance(target, ast.Starred):
            self.assign(target.value, held(value))
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            base = self.value(target.value)
            if isinstance(target, ast.Subscript):
                self.value(target.slice)
            self.alter(base)
            self.put(base, value)


_R = ExpressionReader
_R.readers.update({
    ast.Name: _R.name, ast.Constant: _R.nothing, ast.Attribute: _R.part, ast.Starred: _R.part,
    ast.Subscript: _R.subscript, ast.BinOp: _R.binary, ast.UnaryOp: _R.unary, ast.BoolOp: _R.either,
    ast.IfExp: _R.conditional,
    ast.Compare: _R.comparison, ast.Dict: _R.dictionary, ast.NamedExpr: _R.walrus, ast.Await: _R.awaited,
    ast.Yield: _R.yielded, ast.YieldFrom: _R.yielded, ast.Lambda: _R.unnamed_function,
    ast.ListComp: _R.comprehension, ast.SetComp: _R.comprehension, ast.GeneratorExp: _R.comprehension,
    ast.DictComp: _R.comprehension, ast.JoinedStr: _R.discard, ast.FormattedValue: _R.discard,
    ast.Slice: _R.discard, ast.Load: _R.nothing, ast.Store: _R.nothing, ast.operator: _R.nothing,
})  # fmt: skip
