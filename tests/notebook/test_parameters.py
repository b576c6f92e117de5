"""Parameters and their values."""

from __future__ import annotations

import ast

import pytest

from cellyard.errors import UsageError
from cellyard.notebook import parameter_values, parse_assignments
from cellyard.notebook.parameters import parameters_of

CELL = """
rows = 10
rate: float = 0.5
name = "x"
fast = True
sizes = [1, 2]
nothing = None
day = date(2024, 1, 1)
"""
PARAMETERS = parameters_of(3, ast.parse(CELL).body)


def test_they_are_typed_by_their_defaults():
    assert {each.name: (each.type, each.default) for each in PARAMETERS} == {
        "rows": ("int", "10"),
        "rate": ("float", "0.5"),
        "name": ("str", "'x'"),
        "fast": ("bool", "True"),
        "sizes": ("list", "[1, 2]"),
        "nothing": ("None", "None"),
        "day": ("expression", "date(2024, 1, 1)"),
    }


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("rows", "20", 20),
        ("rate", "1", 1.0),
        ("rate", "1e-3", 0.001),
        ("name", "7", "7"),
        ("fast", "no", False),
        ("fast", "True", True),
        ("sizes", "[3]", [3]),
        ("nothing", "4", 4),
        ("nothing", "some text", "some text"),
        ("rate", 2, 2.0),
        ("rows", 2, 2),
    ],
)
def test_a_value_is_read_as_its_default_asks(name, text, value):
    found = parameter_values(PARAMETERS, {name: text})[name]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("name", "text"), [("rows", "1.5"), ("rows", "x"), ("fast", "maybe"), ("sizes", "3"), ("none", "1"), ("rows", 1.5)]
)
def test_a_value_that_cannot_be_meant_is_refused(name, text):
    with pytest.raises(UsageError, match=name):
        parameter_values(PARAMETERS, {name: text})


def test_both_ways_of_writing_are_understood():
    assert parse_assignments([["a", "1"], ["b=x=y"], ["c="]]) == {"a": "1", "b": "x=y", "c": ""}


@pytest.mark.parametrize("words", [["a"], ["a=1", "2"], ["a", "1", "2"]])
def test_other_ways_are_refused(words):
    with pytest.raises(UsageError, match="NAME VALUE"):
        parse_assignments([words])
