"""Reads ``match`` statements. Pure; a part of the reader of a cell."""

from __future__ import annotations

import ast

from cellyard.analysis.aliases import NOTHING, Value, held, reached
from cellyard.analysis.expressions import ExpressionReader
from cellyard.analysis.statements import State, StatementReader

__all__ = ["MatchReader"]


class MatchReader(StatementReader):
    """Adds ``match`` to the reader of statements."""

    def match(self, node: ast.Match) -> Value:
        subject = self.value(node.subject)
        before = self.bound
        ends: list[State] = []
        complete = False
        certain, self.certain = self.certain, False
        for case in node.cases:
            self.bound = set(before)
            self.pattern(case.pattern, subject)
            if case.guard is not None:
                self.bound = self.test(case.guard)[0]
            ends.append(self.branch(case.body, self.bound))
            complete = complete or (case.guard is None and _matches_all(case.pattern))
        self.certain = certain
        self.join(ends if complete else [*ends, before], before)
        return NOTHING

    def pattern(self, node: ast.pattern, subject: Value) -> None:
        """The names that a pattern reads and captures."""
        inner = reached(subject)
        if isinstance(node, ast.MatchValue):
            self.value(node.value)
        elif isinstance(node, ast.MatchClass):
            self.value(node.cls)
            for part in (*node.patterns, *node.kwd_patterns):
                self.pattern(part, inner)
        elif isinstance(node, ast.MatchMapping):
            self._mapping(node, subject)
        elif isinstance(node, (ast.MatchSequence, ast.MatchOr)):
            within = inner if isinstance(node, ast.MatchSequence) else subject
            for part in node.patterns:
                self.pattern(part, within)
        elif isinstance(node, (ast.MatchStar, ast.MatchAs)):
            if isinstance(node, ast.MatchAs) and node.pattern is not None:
                self.pattern(node.pattern, subject)
            if node.name:
                self.store(node.name, subject)

    def _mapping(self, node: ast.MatchMapping, subject: Value) -> None:
        for key, part in zip(node.keys, node.patterns, strict=True):
            self.value(key)
            self.pattern(part, reached(subject))
        if node.rest:
            self.store(node.rest, held(subject))


def _matches_all(pattern: ast.pattern) -> bool:
    return isinstance(pattern, ast.MatchAs) and pattern.pattern is None


ExpressionReader.readers[ast.Match] = MatchReader.match
