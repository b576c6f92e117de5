"""Queries: which runs are meant by ``metrics.auc > 0.9 and tag = nightly``. Text in, a small tree out. Pure.

    query       = term { "or" term }
    term        = factor { "and" factor }
    factor      = "not" factor | "(" query ")" | field operator value | field "in" "(" value { "," value } ")"
    field       = "metrics." name | "params." name | "tag" | "id" | "kind" | "name" | "notebook" | "owner" | "state"
                | "commit" | "session" | "created" | "seconds"
    operator    = "=" | "==" | "!=" | "<" | "<=" | ">" | ">=" | "~"          (~: contains, in any case)
    value       = number | 'text' | "text" | word

A name of a metric or parameter with other characters than letters, digits, ``_``, ``-``, ``.`` and ``/`` is written in
backticks: params.`learning rate`. ``created`` is compared with a date (2026-11-21, 2026-11-21T06:00) in UTC, or with an
age (2h, 7d): ``created > 7d`` is true of what is younger.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeAlias

from cellyard.errors import UsageError

__all__ = ["FIELDS", "All", "Comparison", "Condition", "Either", "Not", "parse_query"]

NUMBERS = frozenset({"id", "seconds"})
TEXTS = frozenset({"kind", "name", "notebook", "owner", "state", "commit", "session", "tag"})
FIELDS = ("metrics.NAME", "params.NAME", *sorted(NUMBERS | TEXTS | {"created"}))
"""All that can be asked for."""

_MOST_LENGTH = 2000
_DEEPEST = 20
_TOKEN = re.compile(
    r"""\s*(?:
        (?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*")
      | (?P<operator><=|>=|!=|==|[=<>~(),])
      | (?P<word>(?:[\w.\-/+:*%@]|`[^`]+`)+)
    )""",
    re.VERBOSE,
)
_AGE = re.compile(r"(\d+(?:\.\d+)?)(s|m|h|d|w)")
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_OPERATORS = frozenset({"=", "!=", "<", "<=", ">", ">=", "~"})


@dataclass(frozen=True, slots=True)
class Comparison:
    """``field`` (for a metric or parameter with its ``name``) ``operator`` any of ``values``; several only for "="."""

    field: str
    name: str
    operator: str
    values: tuple[str | float, ...]


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Either:
    """At least one part holds."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: Condition


Condition: TypeAlias = Comparison | All | Either | Not


def parse_query(text: str, *, now: float | None = None) -> Condition:
    """The tree of a query; ages count from ``now``. Raises UsageError, with the place and what is possible there."""
    if len(text) > _MOST_LENGTH:
        raise UsageError(f"the query {text[:80]!r}... is longer than {_MOST_LENGTH} characters.")
    return _Parser(text, time.time() if now is None else now).parse()


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    text: str
    place: int


class _Parser:
    def __init__(self, text: str, now: float) -> None:
        self._text = text
        self._now = now
        self._tokens = list(self._split())
        self._at = 0
        self._depth = 0

    def parse(self) -> Condition:
        found = self._query()
        if (rest := self._peek()) is not None:
            raise self._wrong(rest, "here `and`, `or` or the end is expected.")
        return found

    # -- the grammar, rule by rule

    def _query(self) -> Condition:
        return self._joined("or", self._term, Either)

    def _term(self) -> Condition:
        return self._joined("and", self._factor, All)

    def _joined(
        self, word: str, part: Callable[[], Condition], kind: Callable[[tuple[Condition, ...]], Condition]
    ) -> Condition:
        parts = [part()]
        while self._accept(word):
            parts.append(part())
        return parts[0] if len(parts) == 1 else kind(tuple(parts))

    def _factor(self) -> Condition:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(self._peek(), f"more than {_DEEPEST} levels are too many.")
        try:
            if self._accept("not"):
                return Not(self._factor())
            if self._accept("("):
                found = self._query()
                self._expect(")")
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        field, name = self._field()
        if self._accept("in"):
            self._expect("(")
            values = [self._value(field)]
            while self._accept(","):
                values.append(self._value(field))
            self._expect(")")
            return Comparison(field, name, "=", tuple(values))
        token = self._take("one of = != < <= > >= ~ or `in (...)`")
        operator = "=" if token.text == "==" else token.text
        if token.kind != "operator" or operator not in _OPERATORS:
            raise self._wrong(token, "here one of = != < <= > >= ~ or `in (...)` is expected.")
        if operator == "~" and field not in TEXTS | {"params"}:
            raise self._wrong(token, f"~ looks into texts, and {field} is a number.")
        return Comparison(field, name, operator, (self._value(field, contained=operator == "~"),))

    def _field(self) -> tuple[str, str]:
        token = self._take("the name of a field")
        if token.kind != "word":
            raise self._wrong(token, "here the name of a field is expected.")
        head, _, name = token.text.partition(".")
        if head in ("metrics", "params") and name:
            return head, name.replace("`", "")
        field = {"tags": "tag", "param": "params"}.get(token.text, token.text)
        if field not in NUMBERS | TEXTS | {"created"}:
            raise self._wrong(token, f"there is no such field. There are: {', '.join(FIELDS)}.")
        return field, ""

    def _value(self, field: str, *, contained: bool = False) -> str | float:
        token = self._take("a value")
        if token.kind == "operator":
            raise self._wrong(token, "here a value is expected.")
        is_quoted = token.kind == "text"
        text = re.sub(r"\\(.)", r"\1", token.text[1:-1]) if is_quoted else token.text
        if field in TEXTS or contained or (field == "params" and is_quoted):
            return text
        if field == "created":
            return self._moment(token, text)
        number = _number(text)
        if number is None and field != "params":
            raise self._wrong(token, f"{field} is compared with a number.")
        return text if number is None else number

    def _moment(self, token: _Token, text: str) -> float:
        age = _AGE.fullmatch(text)
        if age is not None:
            return self._now - float(age[1]) * _UNITS[age[2]]
        try:
            found = datetime.fromisoformat(text)
        except ValueError:
            raise self._wrong(token, "a date (2026-11-21) or an age (2h, 7d) is expected.") from None
        return (found if found.tzinfo is not None else found.replace(tzinfo=UTC)).timestamp()

    # -- the tokens

    def _split(self) -> Iterator[_Token]:
        place, end = 0, len(self._text.rstrip())
        while place < end:
            found = _TOKEN.match(self._text, place)
            if found is None or found.lastgroup is None:
                raise self._wrong(_Token("", self._text[place:].split()[0], place), "this is no part of a query.")
            yield _Token(found.lastgroup, found[found.lastgroup], found.start(found.lastgroup))
            place = found.end()

    def _peek(self) -> _Token | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _take(self, what: str) -> _Token:
        token = self._peek()
        if token is None:
            raise UsageError(f"the query {self._text!r} ends where {what} is expected. {_EXAMPLE}")
        self._at += 1
        return token

    def _accept(self, text: str) -> bool:
        token = self._peek()
        if token is None or token.kind == "text" or token.text.lower() != text:
            return False
        self._at += 1
        return True

    def _expect(self, text: str) -> None:
        if not self._accept(text):
            raise self._wrong(self._peek(), f"here `{text}` is expected.")

    def _wrong(self, token: _Token | None, reason: str) -> UsageError:
        where = "at its end" if token is None else f"at {token.text!r} (character {token.place + 1})"
        return UsageError(f"the query {self._text!r} is not understood {where}: {reason} {_EXAMPLE}")


_EXAMPLE = "For example: metrics.auc > 0.9 and tag = nightly."


def _number(text: str) -> float | None:
    try:
        found = float(text)
    except ValueError:
        return None
    # "nan" and "inf" are words here: no number compares with them as one would think.
    return found if abs(found) < float("inf") else None
