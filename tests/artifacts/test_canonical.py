"""One digest for values made again alike, whatever the hash seed; another for each other value."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from cellyard.artifacts.canonical import canonical_digest

ROOT = Path(__file__).parents[2]
MADE = {
    "a set": "{'b', 'a', 'c', ('x', 1), frozenset('pq')}",
    "sets in an object": "types.SimpleNamespace(tags=set('hello'), more={'k': frozenset('world')})",
    "a dictionary": "{'one': [1, 2.5, None], 'two': {'three': b'x', 'four': 1j}}",
    "nested and shared": "(lambda part: {'first': part, 'second': [part, part]})([set('abc')])",
    "an object in itself": "(lambda items: items.append(items) or items)([set('xy')])",
    "an array": "np.arange(12.0).reshape(3, 4)",
    "a strided array": "np.arange(12.0).reshape(3, 4).T",
    "an array of objects": "np.array([{'a', 'b'}, 'text', None], dtype=object)",
    "a structured array": "np.array([(1, 'x')], dtype=[('n', 'i4'), ('s', 'U3')])",
    "a frame": "pd.DataFrame({'a': [1, 2], 'b': ['x', None], 'd': pd.to_datetime(['2026-01-01', None])}, index=[5, 6])",
    "a frame of categories": "pd.DataFrame({'c': pd.Categorical(['x', 'y']), 'i': pd.array([1, None], 'Int64')})",
    "a frame on Arrow": (
        "pd.DataFrame({'s': pd.array(['x', None], 'string[pyarrow]'), 'i': pd.array([1, 2], 'int64[pyarrow]')})"
    ),
    "a series of sets": "pd.Series([{'a', 'b'}, {'c', 'd'}], name='sets')",
    "an Arrow table": "pa.table({'a': [1, None, 3], 's': ['x', 'y', 'z']})",
    "a fitted pipeline": (
        "make_pipeline(StandardScaler(), FunctionTransformer(np.abs), LogisticRegression(class_weight={0: 1, 1: 2}))"
        ".fit(np.arange(20.0).reshape(10, 2), [0, 1] * 5)"
    ),
    "a fitted encoder": "OneHotEncoder().fit([['red', 1], ['blue', 2], ['red', 3]])",
    "a fitted vectoriser": "make_pipeline(TfidfVectorizer(stop_words='english'), LogisticRegression()).fit("
    "['red wine', 'the blue sea', 'red sea', 'white wine'], [0, 1, 1, 0])",
    "a frozen distribution": "scipy.stats.gamma(2.0, scale=3)",
    "an instance of a model": "Model(name='x', tags=['p', 'q', 'r'])",
    "a model": "Model",
    "the generator that numpy draws from": "[np.random.mtrand._rand, np.random.rand]",
    "a memoised function": "(lambda f: [f(3), f(4), f][2])(functools.cache(scaled))",
    "a partial": "functools.partial(sorted, key=len, reverse=True)",
    "dates and paths": "[datetime.date(2026, 1, 2), pathlib.PurePosixPath('a/b'), decimal.Decimal('1.10')]",
    "a generator of numbers": "np.random.default_rng(3)",
    "a figure": "drawn()",
    "a counter": "collections.Counter('banana')",
}
IMPORTS = """
import collections, datetime, decimal, functools, json, pathlib, sys, types
import numpy as np, pandas as pd, pyarrow as pa, pydantic, scipy.stats
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler
from cellyard.artifacts.canonical import canonical_digest
"""
OWN = """
def drawn():
    from matplotlib.figure import Figure
    figure = Figure()
    axes = figure.add_subplot()
    axes.plot([1, 3, 2], label='line')
    axes.legend()
    return figure
class Point:
    unit = 'cm'
    seen = {'b', 'a', 'c'}
    def __init__(self, *tags): self.tags = set(tags)
    @property
    def size(self): return len(self.tags)
def scaled(x, by={'f', 'g'}): return x in {'p', 'q', 'r'} or by
def closed(over):
    def inner(x=over): return x, over
    return inner
class Model(pydantic.BaseModel):
    name: str
    tags: set[str] = {'u', 'v', 'w'}
own = {'points': [Point('x', 'y'), Point('z')], 'class': Point, 'function': scaled, 'closure': closed({'k', 'l'})}
"""
TELL = """
made = {name: eval(text) for name, text in json.loads(sys.argv[1]).items()}
print(json.dumps({name: canonical_digest(value) for name, value in {**made, 'of the notebook': own}.items()}))
"""


def told(seed: int, **changed: str) -> dict[str, str | None]:
    """The digests of all values as a process of that hash seed makes them."""
    done = subprocess.run(
        [sys.executable, "-c", IMPORTS + OWN + TELL, json.dumps({**MADE, **changed})],
        env={**os.environ, "PYTHONHASHSEED": str(seed)},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, str | None] = json.loads(done.stdout)
    return found


def test_values_made_again_under_another_hash_seed_have_the_same_digest():
    first, second = told(1), told(4711)
    assert None not in first.values()
    assert {name: digest for name, digest in second.items() if first[name] != digest} == {}
    assert len(set(first.values())) == len(first)


def test_how_a_value_came_about_does_not_count():
    pandas, pyarrow, numpy = pytest.importorskip("pandas"), pytest.importorskip("pyarrow"), pytest.importorskip("numpy")
    whole = pandas.DataFrame({"a": [1, 2, 3], "b": [4, 5, 6]})
    grown = pandas.DataFrame({"a": [1, 2, 3]})
    grown["b"] = [4, 5, 6]
    assert canonical_digest(whole) == canonical_digest(grown)
    table = pyarrow.table({"a": [0, 1, 2, 3]})
    parts = pyarrow.concat_tables([table.slice(1, 1), table.slice(2)])
    assert canonical_digest(parts) == canonical_digest(pyarrow.table({"a": [1, 2, 3]}))
    assert canonical_digest(numpy.arange(6)[::2]) == canonical_digest(numpy.array([0, 2, 4]))
    texts = ["ab", "".join(["a", "b"])]
    assert canonical_digest(texts) == canonical_digest(["ab"] * 2)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ([1, 2], (1, 2)), ([1], [True]), ([1], [1.0]), ({1, 2}, {1, 3}), ({1}, frozenset({1})),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}), ("ab", b"ab"), (["ab", "c"], ["a", "bc"]), ([[1], 2], [1, [2]]),
        ([0.0], [-0.0]), (None, "None"), ([], [[]]), ({"a": {1}}, {"a": {2}}),
    ],
)  # fmt: skip
def test_other_values_have_other_digests(one, other):
    assert canonical_digest(one) != canonical_digest(other)


def test_what_is_one_object_is_not_two():
    part: list[int] = []
    assert canonical_digest([part, part]) != canonical_digest([[], []])


def test_a_changed_element_changes_the_digest():
    numpy = pytest.importorskip("numpy")
    array = numpy.zeros(100_000)
    before = canonical_digest({"a": array})
    array[77_777] = 1e-300
    assert canonical_digest({"a": array}) != before


@pytest.mark.parametrize("value", [(n for n in range(2)), object(), lambda: 0, open(os.devnull)])  # noqa: PTH123, SIM115
def test_what_is_known_by_its_identity_alone_has_none(value):
    assert canonical_digest([value]) is None or type(value) is object
