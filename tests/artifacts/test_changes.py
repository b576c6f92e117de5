"""What a cell changed in place is seen; what it merely read is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellyard.artifacts import load
from cellyard.artifacts.changes import SMALL_BYTES, LoadedGroup
from tests.artifacts.notebook import Notebook

# what: (the cell that makes v, a cell that only reads it, a cell that changes it in place)
CASES: dict[str, tuple[str, str, str]] = {
    "a list": ("v = [1, 2, 3]", "sum(v); v[::2]; v.copy().append(1)", "v.append(4)"),
    "a dict": ("v = {'a': 1}", "v['a']; list(v.items()); v.get('b')", "v['a'] = 2"),
    "a dict's order": ("v = {'a': 1, 'b': 2}", "'b' in v", "v['a'] = v.pop('a')"),
    "a set": ("v = set(map(str, range(100)))", "'5' in v; sorted(v); v | {1}", "v.discard('5')"),
    "a nested list": ("v = {'a': [({'b': [1]},)]}", "v['a'][0][0]['b'][0]", "v['a'][0][0]['b'].append(2)"),
    "an attribute": ("class A: pass\nv = A(); v.x = [1]", "v.x[0]; repr(v)", "v.x = [2]"),
    "a list in an attribute": ("class A: pass\nv = A(); v.x = [1]", "v.x[0]", "v.x.append(2)"),
    "a slot": ("class A: __slots__ = ('x',)\nv = A(); v.x = 1", "v.x", "v.x = 2"),
    "a bytearray": ("v = bytearray(200_000)", "sum(v)", "v[77_777] = 1"),
    "an iterator's position": ("v = iter([1, 2])", "repr(v)", "next(v)"),
    "a random generator": ("import random\nv = random.Random(1)", "v.getstate()", "v.random()"),
    "a variable of a closure": (
        "def make():\n    n = 0\n    def up():\n        nonlocal n\n        n += 1\n    return up\nv = make()",
        "v.__name__",
        "v()",
    ),
    "a small array": ("import numpy as np\nv = np.arange(10)", "v.sum(); v * 2; v.T", "v[3] = 0"),
    "a large array": ("import numpy as np\nv = np.arange(300_000.0)", "v.sum(); v[::7] + 1", "v[123_456] += 1"),
    "an array's shape": ("import numpy as np\nv = np.arange(300_000.0)", "v.reshape(3, -1)", "v.shape = (3, 100_000)"),
    "an array of objects": ("import numpy as np\nv = np.array([[1], {}], object)", "v[0][0]", "v[0].append(1)"),
    "through a view": ("import numpy as np\nv = np.zeros((400, 500))", "v.T[1:, ::2].sum()", "v.T[1:, ::2][5] = 1"),
    "a frame's value": (
        "import numpy as np, pandas as pd\nv = pd.DataFrame({'a': np.arange(50_000), 'b': 'x'})",
        "v.a.sum(); v.describe(); v.groupby('b').a.mean(); v[v.a > 5].assign(c=1); v.loc[5]; repr(v); v.to_numpy()",
        "v.loc[7, 'a'] = -1",
    ),
    "a frame's new column": ("import pandas as pd\nv = pd.DataFrame({'a': [1]})", "v.assign(b=2)", "v['b'] = 2"),
    "a frame's index": ("import pandas as pd\nv = pd.DataFrame({'a': [1]})", "v.index + 1", "v.index = ['x']"),
    "a frame's names": ("import pandas as pd\nv = pd.DataFrame({'a': [1]})", "v.columns", "v.columns = ['b']"),
    "a frame sorted in place": (
        "import pandas as pd\nv = pd.DataFrame({'a': [2, 1]})",
        "v.sort_values('a')",
        "v.iloc[:] = v.sort_values('a').to_numpy()",
    ),
    "a series": (
        "import numpy as np, pandas as pd\nv = pd.Series(np.arange(50_000.0), name='s')",
        "v.mean(); v.map(str); v.rolling(3).sum(); v.loc[5]; 5 in v.index; v.is_unique",
        "v.iloc[9] = 0",
    ),
    "text in a series": ("import pandas as pd\nv = pd.Series(['a', None] * 9000)", "v.str.upper()", "v.iloc[0] = 'b'"),
    "a sparse matrix": (
        "import scipy.sparse as sp\nv = sp.eye(1000, format='csr')",
        "v.data.sum(); v.indices.max(); v.nnz; repr(v)",
        "v.data[5] = 2",
    ),
    "a fitted pipeline": (
        "import numpy as np\nfrom sklearn.pipeline import make_pipeline\n"
        "from sklearn.preprocessing import StandardScaler\n"
        "from sklearn.linear_model import LogisticRegression\nX = np.random.default_rng(0).normal(size=(200, 3))\n"
        "v = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, X[:, 0] > 0)",
        "v.predict(np.ones((5, 3))); v.get_params(); repr(v); v[0].mean_.sum(); v.named_steps",
        "v.fit(-np.eye(3), [0, 1, 1])",
    ),
    "a fitted forest": (
        "import numpy as np\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "X = np.random.default_rng(0).normal(size=(200, 3))\n"
        "v = RandomForestClassifier(5, random_state=0).fit(X, X[:, 0] > 0)",
        "v.predict_proba(np.ones((5, 3))); v.feature_importances_; v.estimators_[0].get_depth()",
        "v.estimators_.pop()",
    ),
}
VALUES_OF_CONSTANT = ["None", "7", "2.5", "'text'", "b'bytes'"]


def loaded(store: Path, source: str) -> tuple[Notebook, LoadedGroup]:
    home, away = Notebook(store), Notebook(store)
    home.run(source)
    (reference,) = home.send("v")
    if "np" in home.names:
        away.names["np"] = home.names["np"]
    values = load(away.store, reference, away.names)
    away.names.update(values)
    return away, LoadedGroup(reference, values, away.store, away.names)


@pytest.mark.parametrize("what", CASES)
def test_a_change_is_seen_and_a_mere_read_is_not(tmp_path: Path, what: str) -> None:
    source, reads, changes = CASES[what]
    away, group = loaded(tmp_path / "store", source)
    assert not group.changed()
    away.run(reads)
    assert not group.changed(), "it was only read"
    away.run(changes)
    assert group.changed()


@pytest.mark.parametrize("value", VALUES_OF_CONSTANT)
def test_a_constant_cannot_change(tmp_path: Path, value: str) -> None:
    away, group = loaded(tmp_path / "store", f"v = {value}")
    away.run("v = v or 1; v += v")
    assert not group.changed()


def test_binding_the_name_anew_is_no_change_of_the_value(tmp_path: Path) -> None:
    away, group = loaded(tmp_path / "store", "v = [1]")
    away.run("v = [2]")
    assert not group.changed()


def test_a_change_through_one_name_is_a_change_of_its_group(tmp_path: Path) -> None:
    home, away = Notebook(tmp_path / "store"), Notebook(tmp_path / "store")
    home.run("import numpy as np\na = np.zeros(50_000); b = a[10:20]; c = {'b': b}")
    (reference,) = home.send("a", "b", "c")
    values = load(away.store, reference, away.names)
    away.names.update(values)
    group = LoadedGroup(reference, values, away.store, away.names)
    away.run("a.sum(), b.sum()")
    assert not group.changed()
    away.run("c['b'][3] = 1")
    assert group.changed()
    assert away.names["a"][13] == 1


def test_a_value_made_unfit_to_travel_counts_as_changed(tmp_path: Path) -> None:
    away, group = loaded(tmp_path / "store", "v = [1]")
    away.run("v.append(x for x in [])")
    assert group.changed()


def test_a_large_pickle_that_changes_is_seen(tmp_path: Path) -> None:
    source = f"v = [{{'number': i, 'text': str(i) * 5}} for i in range({SMALL_BYTES // 20})]"
    away, group = loaded(tmp_path / "store", source)
    assert group.reference["size"] > SMALL_BYTES
    away.run("v[54_321 % len(v)]['number'] = -1")
    assert group.changed()
