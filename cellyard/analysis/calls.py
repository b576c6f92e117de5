"""Reads calls: what they may change, and what their results share. Pure; the middle part of the reader of a
cell."""

from __future__ import annotations

import ast
import re

from cellyard.analysis.aliases import MADE, NOTHING, Value, deep, held, reached
from cellyard.analysis.expressions import ExpressionReader
from cellyard.analysis.magics import SHELL_CALLS, InnerCode, magic_effect
from cellyard.analysis.parsing import Transform, parse_inner
from cellyard.analysis.purity import (
    BUILTINS,
    CALLBACKS,
    ELEMENTS,
    FORMULAS,
    HOLDERS,
    METHODS_FRESH,
    METHODS_SHARING,
    RUNNERS,
    SCALARS,
)
from cellyard.analysis.scopes import parameters, scope_of

__all__ = ["CallReader"]

_AT_NAME = re.compile(r"@([^\W\d]\w*)")
_WORD = re.compile(r"[^\W\d]\w*")
_FRAMES = frozenset({"_getframe", "currentframe", "stack", "trace"})
_PURE_CALLS = SCALARS | HOLDERS | ELEMENTS


class CallReader(ExpressionReader):
    """Adds calls to the reader of expressions."""

    transform: Transform | None

    def call(self, node: ast.Call) -> Value:
        func = node.func
        if isinstance(func, ast.Attribute):
            return self.method(node, func)
        if isinstance(func, ast.Name):
            if self.is_builtin(func.id):
                return self.builtin_call(node, func)
            callee = self.called(func)
            self.names_in_texts(func.id, node)
            self.arguments(node)
            return callee
        if isinstance(func, ast.Lambda):
            given = [*node.args, *(keyword.value for keyword in node.keywords)]
            return self.inline(func, tuple(pair for one in given for pair in self.value(one)))
        value = self.value(func)
        self.expose(value)
        self.arguments(node)
        return reached(value)

    def is_builtin(self, name: str) -> bool:
        """Whether a name means Python's own builtin, as far as the text can tell."""
        if name not in BUILTINS or name in self.impure:
            return False
        return name not in self.table and name not in self.class_names

    def called(self, func: ast.Name) -> Value:
        """A plain name is called; what came out of it."""
        callee = self.load(func.id, func.lineno)
        self.ledger.called.update(key for key, _ in callee)
        return tuple((key, MADE) for key, _ in callee)

    def arguments(self, node: ast.Call) -> None:
        """The arguments of a call that may do anything with them."""
        for argument in node.args:
            self.expose(self.value(argument))
        for keyword in node.keywords:
            self.expose(self.value(keyword.value))

    # -- methods

    def method(self, node: ast.Call, func: ast.Attribute) -> Value:
        name = func.attr
        if name in SHELL_CALLS and self.is_shell(func.value):
            return self.magic(node, name)
        base = self.value(func.value)
        fresh = name in METHODS_FRESH
        if base:
            if fresh or name in METHODS_SHARING:
                self.ledger.changes_of_others |= deep(base)
            else:
                self.expose(base)
        runs_text = isinstance(func.value, ast.Name) and func.value.id in RUNNERS
        self.dynamic = self.dynamic or name in _FRAMES or runs_text
        self.names_in_texts(name, node)
        if name == "import_module":
            self.note_import(node)
        self.arguments(node)
        return held(base) if fresh else reached(base)

    def names_in_texts(self, name: str, node: ast.Call) -> None:
        """A library may look up words of its text in the caller's variables."""
        if name not in FORMULAS or not node.args:
            return
        if not isinstance(node.args[0], (ast.Constant, ast.JoinedStr)):
            self.dynamic = True
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        texts = [
            (part.value, part.lineno)
            for value in values
            if isinstance(value, (ast.Constant, ast.JoinedStr))
            for part in ast.walk(value)
            if isinstance(part, ast.Constant) and isinstance(part.value, str)
        ]
        with self.perhaps():
            for text, line in texts:
                for word in _AT_NAME.findall(text):
                    self.load(word, line)
                if name != "query":
                    self.mentions.update(_WORD.findall(text))

    def note_import(self, node: ast.Call) -> None:
        """``importlib.import_module("x")`` imports as a statement does."""
        if node.args and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str):
            self.imported_modules.add(node.args[0].value.partition(".")[0])

    # -- builtins

    def builtin_call(self, node: ast.Call, func: ast.Name) -> Value:
        name = func.id
        self.load(name, func.lineno)
        count = len(node.args) + len(node.keywords)
        if name in {"vars", "dir"} and count == 0:
            self.dynamic = True
        if name == "__import__":
            self.note_import(node)
        if name in CALLBACKS:
            return self.callback_call(node, name)
        if name not in _PURE_CALLS or (name in {"type", "iter"} and count > 1):
            self.arguments(node)
            return NOTHING
        found: Value = NOTHING
        for argument in node.args:
            found += self.value(argument)
        for keyword in node.keywords:
            value = self.value(keyword.value)
            if keyword.arg in {"file", "opener"}:
                self.expose(value)
            found += value
        if name in SCALARS:
            return NOTHING
        return held(found) if name in HOLDERS else reached(found)

    def callback_call(self, node: ast.Call, name: str) -> Value:
        """A builtin that gives elements of its arguments to a function."""
        sources, keywords = list(node.args), node.keywords
        callback: ast.expr | None = None
        if name in {"map", "filter"}:
            callback = sources.pop(0) if sources else None
        else:
            callback = next((keyword.value for keyword in keywords if keyword.arg == "key"), None)
            keywords = [keyword for keyword in keywords if keyword.arg != "key"]
        found: Value = NOTHING
        for source in (*sources, *(keyword.value for keyword in keywords)):
            found += self.value(source)
        made = self.callback(callback, found)
        if name == "map":
            return held(made)
        return held(found) if name in HOLDERS else reached(found)

    def callback(self, node: ast.expr | None, elements: Value) -> Value:
        """``node`` is called with parts of ``elements``; what comes out of it."""
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return elements
        if isinstance(node, ast.Lambda):
            return self.inline(node, reached(elements))
        if isinstance(node, ast.Name):
            if self.is_builtin(node.id) and node.id in _PURE_CALLS:
                self.load(node.id, node.lineno)
                return NOTHING if node.id in SCALARS else reached(elements)
            self.expose(elements)
            return self.called(node) + reached(elements)
        value = self.value(node)
        self.expose(value + elements)
        return reached(value + elements)

    def inline(self, node: ast.Lambda, arguments: Value) -> Value:
        """A lambda that is called here, with ``arguments``; what it returns."""
        for default in (*node.args.defaults, *(d for d in node.args.kw_defaults if d is not None)):
            self.expose(self.value(default))
        mark = self.fresh_mark()
        scope = scope_of([node.body], walrus=self.has_walrus)
        own = {name: name + mark for name in (*parameters(node.args), *scope.own)}
        saved = self.table, self.class_names
        self.table, self.class_names = {**self.table, **own}, frozenset()
        for key in own.values():
            self.aliases.bind(key, arguments)
        with self.perhaps():
            result = self.value(node.body)
        self.table, self.class_names = saved
        return result

    # -- IPython

    def is_shell(self, node: ast.expr) -> bool:
        """Whether an expression is ``get_ipython()``."""
        return (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Name)
            and node.func.id == "get_ipython"
            and self.is_builtin("get_ipython")
        )

    def magic(self, node: ast.Call, method: str) -> Value:
        self.ledger.builtins.add("get_ipython")
        effect = magic_effect(method, node.args)
        if effect.dynamic or self.in_function:
            self.forget_certainty()
        with self.perhaps():
            for name in sorted(effect.names):
                self.load(name, node.lineno)
        result: Value = NOTHING
        for code in effect.code:
            result = self.inner_code(code, node.lineno)
        for name in effect.binds:
            self.store(name, NOTHING)
        return result

    def inner_code(self, code: InnerCode, line: int) -> Value:
        """Python inside a magic runs here; the value of its last expression."""
        try:
            tree = parse_inner(code.text, self.transform)
        except SyntaxError:
            self.forget_certainty()
            return NOTHING
        ast.increment_lineno(tree, line + code.line - 1)
        if code.binds:
            return self.inner_block(tree.body)
        with self.perhaps(binding=True):
            return self.inner_block(tree.body)

    def inner_block(self, body: list[ast.stmt]) -> Value:
        last = body[-1] if body else None
        if not isinstance(last, ast.Expr):
            self.block(body)
            return NOTHING
        self.block(body[:-1])
        return self.value(last.value)


ExpressionReader.readers[ast.Call] = CallReader.call
