"""Reads statements: order, branches, loops, handlers and definitions. Pure; the upper part of the reader of a
cell.

At each point the reader knows which names surely no longer have the value they had before the cell
(``bound``). That set only grows along a path, and is intersected where paths meet; a path that leaves
(``raise``, ``break``) does not count."""

from __future__ import annotations

import ast
from collections.abc import Sequence

from cellyard.analysis.aliases import NOTHING, Value, held, reached
from cellyard.analysis.calls import CallReader
from cellyard.analysis.expressions import ExpressionReader
from cellyard.analysis.purity import STEADY_CONTEXTS

__all__ = ["StatementReader"]

State = set[str] | None
"""What is bound at the end of a path; None where the path does not get there."""


class StatementReader(CallReader):
    """Adds simple and compound statements; definitions are in :mod:`cellyard.analysis.definitions`."""

    def block(self, body: list[ast.stmt]) -> None:
        for statement in body:
            self.value(statement)

    def branch(self, body: list[ast.stmt], bound: set[str]) -> State:
        """Read a block that may run, from the state ``bound``; its end."""
        certain, dead = self.certain, self.dead
        self.certain, self.dead, self.bound = False, False, set(bound)
        self.block(body)
        end = None if self.dead else self.bound
        self.certain, self.dead = certain, dead
        return end

    def join(self, ends: Sequence[State], before: set[str]) -> None:
        """Paths meet."""
        alive = [end for end in ends if end is not None]
        if alive:
            self.bound = set.intersection(*alive) if len(alive) > 1 else alive[0]
        else:
            self.bound, self.dead = before, True

    def test(self, node: ast.expr) -> tuple[set[str], set[str]]:
        """Read a condition; what is bound where it holds, and where it does not."""
        if not self.has_walrus:
            self.value(node)
            return self.bound, self.bound
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            true, false = self.test(node.operand)
            return false, true
        if isinstance(node, ast.BoolOp):
            return self._either(node)
        self.bound = set(self.bound)
        self.value(node)
        return self.bound, self.bound

    def _either(self, node: ast.BoolOp) -> tuple[set[str], set[str]]:
        certain = self.certain
        is_and = isinstance(node.op, ast.And)
        exits: list[set[str]] = []
        for value in node.values:
            true, false = self.test(value)
            exits.append(false if is_and else true)
            self.bound = true if is_and else false
            self.certain = False
        self.certain = certain
        through, out = self.bound, set.intersection(*exits)
        return (through, out) if is_and else (out, through)

    # -- simple statements

    def expression(self, node: ast.Expr) -> Value:
        self.value(node.value)
        return NOTHING

    def assignment(self, node: ast.Assign) -> Value:
        value = self._assigned(node.value, node.targets)
        for target in node.targets:
            self._assign_from(target, node.value, value)
        return NOTHING

    def _assigned(self, value: ast.expr, targets: list[ast.expr]) -> Value:
        """The value of an assignment; a lambda given to plain names is a definition of these names."""
        if isinstance(value, ast.Lambda) and all(isinstance(target, ast.Name) for target in targets):
            ledger = self.function(value)
            for target in targets:
                assert isinstance(target, ast.Name)
                self.define(self.store(target.id, NOTHING), [ledger])
            return NOTHING
        return self.value(value)

    def _assign_from(self, target: ast.expr, source: ast.expr, value: Value) -> None:
        """Bind a target; a display of as many elements shares one by one."""
        if (
            value
            and isinstance(target, (ast.Tuple, ast.List))
            and isinstance(source, (ast.Tuple, ast.List))
            and len(target.elts) == len(source.elts)
            and all(isinstance(element, ast.Name) for element in (*target.elts, *source.elts))
        ):
            # Read again for their sharing only: names were counted when the value was read, all before any is
            # bound.
            values = [self.value(element) for element in source.elts]
            for element, one in zip(target.elts, values, strict=True):
                self.assign(element, one)
        else:
            self.assign(target, value)

    def annotation(self, node: ast.expr) -> None:
        """An annotation, which is computed now, or kept as text for who may ask."""
        if self.lazy_annotations:
            self.mentions.update(each.id for each in ast.walk(node) if isinstance(each, ast.Name))
        else:
            self.value(node)

    def annotated(self, node: ast.AnnAssign) -> Value:
        plain = isinstance(node.target, ast.Name)
        if not (self.in_function and plain):
            self.annotation(node.annotation)
        if plain and not self.in_function and not self.class_mark:
            self.ledger.builtins.add("__annotations__")  # there it is noted
        if node.value is not None:
            value = self._assigned(node.value, [node.target])
            self.assign(node.target, value)
        elif isinstance(node.target, (ast.Attribute, ast.Subscript)):
            self.value(node.target.value)
        return NOTHING

    def augmented(self, node: ast.AugAssign) -> Value:
        target = node.target
        if isinstance(target, ast.Name):
            old = self.load(target.id, target.lineno)
            self.alter(old)
            value = self.value(node.value)
            self.store(target.id, held(value))
            return NOTHING
        base = self.value(target.value)
        if isinstance(target, ast.Subscript):
            self.value(target.slice)
        self.expose(base)
        self.put(base, self.value(node.value))
        return NOTHING

    def deletion(self, node: ast.Delete) -> Value:
        for target in node.targets:
            self._delete(target)
        return NOTHING

    def _delete(self, target: ast.expr) -> None:
        if isinstance(target, ast.Name):
            name = self.mangled(target.id) if self.private and target.id.startswith("__") else target.id
            if name not in self.class_names and name not in self.table:
                if name not in self.bound:
                    # Also where a builtin has the name: only a name of the notebook can be unbound.
                    self.ledger.reads.setdefault(name, target.lineno)
                    if self.certain and not self.left:
                        self.ledger.needed.add(name)
                self.ledger.deletes.add(name)
                self.bound.add(name)
        elif isinstance(target, (ast.Tuple, ast.List)):
            for element in target.elts:
                self._delete(element)
        elif isinstance(target, (ast.Attribute, ast.Subscript)):
            base = self.value(target.value)
            if isinstance(target, ast.Subscript):
                self.value(target.slice)
            self.alter(base)

    def returned(self, node: ast.Return) -> Value:
        self.suspicious = self.suspicious or not self.in_function
        if node.value is not None:
            self.escape(self.value(node.value))
        self.dead = True
        return NOTHING

    def raised(self, node: ast.Raise) -> Value:
        for part in (node.exc, node.cause):
            if part is not None:
                self.expose(self.value(part))
        self.dead = True
        if not self.in_function:
            self.left = True
        return NOTHING

    def asserted(self, node: ast.Assert) -> Value:
        self.value(node.test)
        if node.msg is not None:
            with self.perhaps():
                self.expose(self.value(node.msg))
        return NOTHING

    def leaving(self, node: ast.Break | ast.Continue) -> Value:
        if not self.loops:
            self.suspicious = True
        elif isinstance(node, ast.Break):
            self.loops[-1].append(set(self.bound))
        self.dead = True
        return NOTHING

    def scoped(self, _node: ast.Global | ast.Nonlocal) -> Value:
        self.suspicious = True
        return NOTHING

    def imported(self, node: ast.Import) -> Value:
        for alias in node.names:
            top = alias.name.partition(".")[0]
            self.imported_modules.add(top)
            self.modules.add(self._bind_import(alias.asname or top))
            if top == "__main__":
                self.forget_certainty()
        return NOTHING

    def imported_from(self, node: ast.ImportFrom) -> Value:
        if node.module and not node.level:
            self.imported_modules.add(node.module.partition(".")[0])
        for alias in node.names:
            if alias.name == "*":
                self.star_imports.append("." * node.level + (node.module or ""))
                self.left = True
                self.suspicious = self.suspicious or self.in_function
            else:
                self.values.add(self._bind_import(alias.asname or alias.name))
        if node.module == "__main__":
            self.forget_certainty()
        return NOTHING

    def _bind_import(self, name: str) -> str:
        key = self.bind(name)
        if key == name:
            self.ledger.imports.add(name)
        return key

    # -- branches and loops

    def conditional_block(self, node: ast.If) -> Value:
        true, false = self.test(node.test)
        before = self.bound
        self.join([self.branch(node.body, true), self.branch(node.orelse, false)], before)
        return NOTHING

    def for_loop(self, node: ast.For | ast.AsyncFor) -> Value:
        self._note_async(node, ast.AsyncFor)
        source = self.value(node.iter)
        if isinstance(node, ast.AsyncFor):
            self.expose(source)
        before = self.bound
        self.bound = set(before)
        certain, self.certain = self.certain, False
        self.loops.append([])
        self.assign(node.target, reached(source))
        self.branch(node.body, self.bound)
        self.certain = certain
        self._after_loop(node.orelse, before)
        return NOTHING

    def while_loop(self, node: ast.While) -> Value:
        true, false = self.test(node.test)
        self.loops.append([])
        self.branch(node.body, true)
        endless = isinstance(node.test, ast.Constant) and bool(node.test.value)
        self._after_loop(node.orelse, None if endless else false)
        return NOTHING

    def _after_loop(self, orelse: list[ast.stmt], exhausted: State) -> None:
        breaks = self.loops.pop()
        end = exhausted
        if orelse and exhausted is not None:
            end = self.branch(orelse, exhausted)
        self.join([end, *breaks], self.bound)

    def attempt(self, node: ast.Try) -> Value:
        before = self.bound
        certain = self.certain
        if node.handlers:
            end = self.branch(node.body, before)
        else:
            end = self._certain_branch(node.body, before)
        if node.orelse and end is not None:
            end = self.branch(node.orelse, end)
        ends = [end, *(self._handler(handler, before) for handler in node.handlers)]
        self.certain = certain
        self.join(ends, before)
        if node.finalbody:
            after = self.bound
            self.bound, self.certain = set(before), False
            self.block(node.finalbody)
            self.bound, self.certain = self.bound | after, certain
        return NOTHING

    def _certain_branch(self, body: list[ast.stmt], bound: set[str]) -> State:
        dead, self.dead, self.bound = self.dead, False, set(bound)
        self.block(body)
        end = None if self.dead else self.bound
        self.dead = dead
        return end

    def _handler(self, handler: ast.ExceptHandler, before: set[str]) -> State:
        self.bound = set(before)
        self.certain = False
        if handler.type is not None:
            self.value(handler.type)
        if handler.name:
            key = self.store(handler.name, NOTHING)
            if key == handler.name:
                self.ledger.deletes.add(key)
        return self.branch(handler.body, self.bound)

    def with_block(self, node: ast.With | ast.AsyncWith) -> Value:
        self._note_async(node, ast.AsyncWith)
        steady = True
        for item in node.items:
            steady = steady and self._is_steady(item.context_expr)
            value = self.value(item.context_expr)
            # Entering and leaving are calls of its methods.
            self.expose(value)
            if item.optional_vars is not None:
                self.assign(item.optional_vars, value)
        if steady:
            self.block(node.body)
            return NOTHING
        # An exception in the body may be swallowed: then the body ended anywhere.
        before = self.bound
        self.branch(node.body, before)
        self.bound = before
        return NOTHING

    def _is_steady(self, node: ast.expr) -> bool:
        func = node.func if isinstance(node, ast.Call) else node
        if isinstance(func, ast.Name):
            return func.id in STEADY_CONTEXTS and self.is_builtin(func.id)
        if not isinstance(func, ast.Attribute):
            return False
        return func.attr == "open" or ast.unparse(func) in STEADY_CONTEXTS

    def _note_async(self, node: ast.stmt, kind: type[ast.stmt]) -> None:
        if isinstance(node, kind):
            if not self.in_function:
                self.awaits = True
            elif not self.in_async:
                self.suspicious = True


_S = StatementReader
ExpressionReader.readers.update({
    ast.Expr: _S.expression, ast.Assign: _S.assignment, ast.AnnAssign: _S.annotated,
    ast.AugAssign: _S.augmented, ast.Delete: _S.deletion, ast.Return: _S.returned, ast.Raise: _S.raised,
    ast.Assert: _S.asserted,
    ast.Break: _S.leaving, ast.Continue: _S.leaving, ast.Global: _S.scoped, ast.Nonlocal: _S.scoped,
    ast.Pass: _S.nothing, ast.Import: _S.imported, ast.ImportFrom: _S.imported_from,
    ast.If: _S.conditional_block,
    ast.For: _S.for_loop, ast.AsyncFor: _S.for_loop, ast.While: _S.while_loop, ast.Try: _S.attempt,
    ast.TryStar: _S.attempt, ast.With: _S.with_block, ast.AsyncWith: _S.with_block,
})  # fmt: skip
