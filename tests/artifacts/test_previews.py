"""Previews: short, made without harm, and true."""

from __future__ import annotations

import collections
import os
import time
from typing import Any

import numpy as np
import pandas as pd
import pytest

from cellyard.artifacts.artifact import load, pack
from cellyard.artifacts.previews import HTML_CHARACTERS, TEXT_CHARACTERS, preview_of, size_in_words
from cellyard.artifacts.reference import Preview, Reference
from cellyard.artifacts.store import open_store


class Loud:
    def __repr__(self) -> str:
        return "<loud " + "x" * 1_000_000 + ">"


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr today")


@pytest.mark.parametrize(
    ("value", "type", "shape", "text"),
    [
        (5, "int", "", "5"),
        ([1, 2, 3], "list", "3 items", "[1, 2, 3]"),
        ({"a": 1}, "dict", "1 items", "{'a': 1}"),
        ("text", "str", "4 long", "'text'"),
        (b"x" * 2000, "bytes", "2,000 long", "b'xx"),
        (np.zeros((1000, 3)), "numpy.ndarray", "1,000 × 3 float64", "array([[0., 0., 0.],"),
        (np.array(5), "numpy.ndarray", "scalar int64", "array(5)"),
        (pd.Series([1.0, 2.0]), "pandas.Series", "2 × float64", "1.0"),
        (pd.DataFrame({"a": range(3000)}), "pandas.DataFrame", "3,000 rows × 1 columns", "a"),
        (np, "module", "", "numpy"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_preview_says_type_shape_and_beginning(value: Any, type: str, shape: str, text: str) -> None:
    found = preview_of(value)
    assert (found.type, found.shape) == (type, shape)
    assert text in found.text


@pytest.mark.parametrize(
    "value",
    [
        "x" * 5_000_000,
        list(range(1_000_000)),
        dict.fromkeys(range(1_000_000)),
        collections.Counter(range(300_000)),
        collections.OrderedDict.fromkeys(range(300_000)),
        collections.deque(range(300_000)),
        np.zeros((3, 1_000_000)),
        pd.DataFrame(np.zeros((1000, 2000))),
        pd.DataFrame({"t": ["y" * 1_000_000]}),
        Loud(),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_preview_of_something_large_is_short_and_quick(value: Any) -> None:
    before = time.process_time()
    found = preview_of(value)
    assert time.process_time() - before < 0.5
    assert len(found.text) <= TEXT_CHARACTERS + 2
    assert len(found.html) <= HTML_CHARACTERS


def test_a_value_whose_repr_fails_still_has_a_preview() -> None:
    found = preview_of(Broken())
    assert found.type.endswith("Broken")
    assert "RuntimeError" in found.text


def test_a_preview_changes_nothing_that_the_value_holds() -> None:
    default: collections.defaultdict[str, list[int]] = collections.defaultdict(list)
    frame = pd.DataFrame({"a": [1]})
    preview_of(default)
    preview_of(frame)
    assert not default
    assert list(frame.columns) == ["a"]


@pytest.mark.parametrize(
    ("count", "words"), [(0, "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (1 << 30, "1.0 GiB"), (5 << 40, "5120.0 GiB")]
)
def test_sizes_in_words(count: int, words: str) -> None:
    assert size_in_words(count) == words


def test_references_and_previews_survive_being_dictionaries() -> None:
    previews = {"a": preview_of(pd.DataFrame({"x": [1]})), "b": preview_of(len)}
    reference = Reference("ab" * 32, ("a", "b"), 5, ("pandas",), previews, ("A:1",))
    assert Reference.from_dict(reference.to_dict()) == reference
    assert Preview.from_dict(previews["a"].to_dict()) == previews["a"]


def test_the_environment_is_in_no_preview_and_in_no_artifact(monkeypatch, tmp_path):
    monkeypatch.setenv("OWN_TOKEN", "a-secret-of-somebody")
    store = open_store(str(tmp_path))
    values = {"env": os.environ, "held": {"at": [os.environ]}}
    references = pack(values, {}, store)
    stored = b"".join(each.read_bytes() for each in tmp_path.rglob("*") if each.is_file())
    assert b"a-secret-of-somebody" not in stored + str([each.to_dict() for each in references]).encode()
    for reference in references:
        for name, value in load(store, reference.to_dict()).items():
            assert (value if name == "env" else value["at"][0]) is os.environ
