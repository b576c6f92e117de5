"""The grammar of searches: what is understood, and what is refused with which words."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.errors import UsageError
from cellyard.model.query import All, Comparison, Either, Not, parse_query


def one(field: str, operator: str, *values: str | float, name: str = "") -> Comparison:
    return Comparison(field, name, operator, values)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("metrics.auc > 0.9", one("metrics", ">", 0.9, name="auc")),
        ("metrics.`val loss` <= -1e-3", one("metrics", "<=", -0.001, name="val loss")),
        ("metrics.val/auc>=.5", one("metrics", ">=", 0.5, name="val/auc")),
        ("params.depth == 3", one("params", "=", 3.0, name="depth")),
        ("params.depth = '3'", one("params", "=", "3", name="depth")),
        ("params.kind in (svm, 'random forest', 3)", one("params", "=", "svm", "random forest", 3.0, name="kind")),
        ("tag = nightly", one("tag", "=", "nightly")),
        ("tags != nightly", one("tag", "!=", "nightly")),
        ("notebook ~ 'orders.ipynb'", one("notebook", "~", "orders.ipynb")),
        ("name = 'it\\'s'", one("name", "=", "it's")),
        ("state = failed", one("state", "=", "failed")),
        ("created > 2026-11-21", one("created", ">", 1795219200.0)),
        ("created > 2026-11-21T06:00+01:00", one("created", ">", 1795237200.0)),
        ("created > 2h", one("created", ">", 1_000_000 - 7200.0)),
        ("id = 3 OR not seconds < 2", Either((one("id", "=", 3.0), Not(one("seconds", "<", 2.0))))),
        (
            "(tag = a or tag = b) and id > 1",
            All((Either((one("tag", "=", "a"), one("tag", "=", "b"))), one("id", ">", 1.0))),
        ),
        (
            "tag = a or tag = b and id > 1",
            Either((one("tag", "=", "a"), All((one("tag", "=", "b"), one("id", ">", 1.0))))),
        ),
    ],
)
def test_a_query_means(text, meant):
    assert parse_query(text, now=1_000_000) == meant


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "ends where the name of a field"),
        ("metrics.auc", "ends where one of ="),
        ("metrics.auc >", "ends where a value"),
        ("metrics.auc > high", "compared with a number"),
        ("metrics.auc > nan", "compared with a number"),
        ("metrics.auc ~ 3", "is a number"),
        ("auc > 3", "no such field. There are: metrics.NAME"),
        ("metrics. > 3", "no such field"),
        ("created > yesterday", "a date"),
        ("tag = a tag = b", "`and`, `or` or the end"),
        ("(tag = a", r"`\)` is expected"),
        ("tag = a; drop table runs", r"at ';' \(character 8\)"),
        ("tag = 'open", "no part of a query"),
        ("tag in ()", "a value is expected"),
        ("(" * 30 + "id = 1" + ")" * 30, "levels are too many"),
        ("tag = " + "a" * 3000, "longer than"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_place(text, words):
    with pytest.raises(UsageError, match=words):
        parse_query(text)


@given(st.text(max_size=60))
def test_any_text_is_understood_or_refused_in_words(text):
    with contextlib.suppress(UsageError):
        assert isinstance(parse_query(text), All | Either | Not | Comparison)
