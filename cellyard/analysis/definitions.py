"""Reads definitions of functions, classes and type aliases. Pure; completes the reader of a cell."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from cellyard.analysis.aliases import HELD, NOTHING, Value
from cellyard.analysis.expressions import ExpressionReader
from cellyard.analysis.ledger import Ledger
from cellyard.analysis.parsing import Transform
from cellyard.analysis.patterns import MatchReader
from cellyard.analysis.purity import BUILTINS
from cellyard.analysis.scopes import scope_of

__all__ = ["CellReader"]

_PLAIN_DECORATORS = frozenset({"staticmethod", "classmethod", "property"})


class CellReader(MatchReader):
    """The whole reader of a cell. Use :func:`cellyard.analysis.analyze`."""

    def __init__(
        self,
        source: str,
        transform: Transform | None,
        shadowed: frozenset[str],
        impure: frozenset[str],
        *,
        lazy_annotations: bool = False,
    ) -> None:
        super().__init__(source, shadowed, impure)
        self.transform = transform
        self.lazy_annotations = lazy_annotations

    def function_definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> Value:
        decorators = [(decorator, self.value(decorator)) for decorator in node.decorator_list]
        with self.type_parameters(node):
            self._annotations(node)
            ledger = self.function(node)
        key = self.store(node.name, NOTHING)
        self.define(key, [ledger])
        self._decorate(key, decorators)
        return NOTHING

    def _annotations(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        given = node.args
        for arg in (*given.posonlyargs, *given.args, given.vararg, *given.kwonlyargs, given.kwarg):
            if arg is not None and arg.annotation is not None:
                self.annotation(arg.annotation)
        if node.returns is not None:
            self.annotation(node.returns)

    def _decorate(self, key: str, decorators: list[tuple[ast.expr, Value]]) -> None:
        """A decorator is called with the definition, and so may run it at once."""
        for decorator, value in decorators:
            if isinstance(decorator, ast.Name):
                self.ledger.called.update(name for name, _ in value)
                if decorator.id in _PLAIN_DECORATORS and self.is_builtin(decorator.id):
                    continue
            else:
                self.expose(value)
            self.aliases.bind(key, value)
            self.use(key)

    def class_definition(self, node: ast.ClassDef) -> Value:
        decorators = [(decorator, self.value(decorator)) for decorator in node.decorator_list]
        with self.type_parameters(node):
            plain = not node.keywords
            for base in node.bases:
                self.value(base)
                plain = plain and isinstance(base, ast.Name) and base.id in BUILTINS
            for keyword in node.keywords:
                self.expose(self.value(keyword.value))
            methods, held = self._class_body(node)
        key = self.store(node.name, held)
        self.define(key, methods)
        if not plain:
            # The bases or the metaclass may call its methods while it is being made.
            self.use(key)
        self._decorate(key, decorators)
        return NOTHING

    def _class_body(self, node: ast.ClassDef) -> tuple[list[Ledger], Value]:
        """Read a class body, which runs here and now; its methods, and what the class holds."""
        saved = (
            self.class_names, self.class_unbound, self.class_mark, self.private, self.loops, self.dead,
        )  # fmt: skip
        mark = self.fresh_mark()
        scope = scope_of(node.body, walrus=self.has_walrus)
        self.private = node.name.lstrip("_")
        own, unbound = self._mangled_all(scope.own), self._mangled_all(scope.unbound)
        methods: list[Ledger] = []
        table = self.table
        if scope.globals:
            self.table = {name: key for name, key in table.items() if name not in scope.globals}
        self.class_names, self.class_unbound, self.class_mark, self.loops = own, unbound, mark, []
        self.owners.append(methods)
        self.block(node.body)
        self.owners.pop()
        self.class_names, self.class_unbound, self.class_mark, self.private, self.loops, self.dead = saved
        self.table = table
        return methods, tuple((name + mark, HELD) for name in own if self.aliases.holds(name + mark))

    def _mangled_all(self, names: frozenset[str]) -> frozenset[str]:
        if not self.private:
            return names
        return frozenset(self.mangled(name) if name.startswith("__") else name for name in names)

    @contextmanager
    def type_parameters(self, node: Any) -> Iterator[None]:
        """The scope of ``def f[T]``, ``class C[T]`` and ``type A[T]``: the parameters are nobody else's
        names."""
        parameters = getattr(node, "type_params", None)
        if not parameters:
            yield
            return
        mark = self.fresh_mark()
        saved = self.table, self.class_names
        self.table = {**self.table, **{one.name: one.name + mark for one in parameters}}
        self.class_names = self.class_names - {one.name for one in parameters}
        for one in parameters:
            for part in (getattr(one, "bound", None), getattr(one, "default_value", None)):
                if part is not None:
                    with self.perhaps():
                        self.value(part)
        yield
        self.table, self.class_names = saved

    def type_alias(self, node: Any) -> Value:
        """``type A = …``: its value is computed when it is first asked for."""
        with self.type_parameters(node), self.inside(self.table) as ledger:
            self.value(node.value)
        self.define(self.store(node.name.id, NOTHING), [ledger])
        return NOTHING


_C = CellReader
ExpressionReader.readers.update(
    {
        ast.FunctionDef: _C.function_definition,
        ast.AsyncFunctionDef: _C.function_definition,
        ast.ClassDef: _C.class_definition,
    }
)
if hasattr(ast, "TypeAlias"):
    ExpressionReader.readers[ast.TypeAlias] = _C.type_alias
