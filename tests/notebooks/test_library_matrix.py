"""Values of the libraries that people use travel both ways unchanged: made in a cell and used in a step, and back."""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass

import pytest

from tests.notebooks.kernels import THREADS, Kernel, kernel_at
from tests.service.engines import engine_home


@dataclass(frozen=True)
class Case:
    """A value: the module that it needs, the cell that makes ``value``, and an expression that tells all of it."""

    module: str
    make: str
    tell: str


SKLEARN = (
    "from sklearn.datasets import load_iris\nfrom sklearn.pipeline import make_pipeline\n"
    "from sklearn.preprocessing import StandardScaler\nfrom sklearn.linear_model import LogisticRegression\n"
    "X, y = load_iris(return_X_y=True)\nvalue = make_pipeline(StandardScaler(), LogisticRegression()).fit(X, y)"
)
CASES = {
    "numpy array": Case("numpy", "import numpy as np\nvalue = np.arange(12.0).reshape(3, 4).T", "value.tolist()"),
    "numpy structured": Case(
        "numpy",
        "import numpy as np\nvalue = np.array([(1, 2.5), (3, 4.5)], dtype=[('a', 'i4'), ('b', 'f8')])",
        "(value.dtype.descr, value.tolist())",
    ),
    "numpy masked": Case(
        "numpy", "import numpy as np\nvalue = np.ma.masked_greater(np.arange(5), 2)", "(value.tolist(), str(value))"
    ),
    "numpy dates": Case(
        "numpy",
        "import numpy as np\nvalue = np.datetime64('2026-01-01') + np.arange(20_000)",
        "(str(value.dtype), str(value[-1]), int(value.astype('i8').sum()))",
    ),
    "numpy generator": Case(
        "numpy",
        "import numpy as np\nvalue = np.random.default_rng(3); value.random()",
        "value.bit_generator.state['state']",
    ),
    "pandas frame": Case(
        "pandas",
        "import pandas as pd\nvalue = pd.DataFrame({'a': [1, None, 3], 'b': list('xyz'), "
        "'c': pd.date_range('2026', periods=3, tz='Europe/Berlin')}, index=pd.Index([5, 6, 7], name='i'))",
        "(value.to_json(), value.dtypes.astype(str).to_dict(), value.index.name)",
    ),
    "pandas with a multi-index": Case(
        "pandas",
        "import pandas as pd\nvalue = pd.DataFrame({'a': [1, 1, 2], 'b': [3, 4, 3], 'c': [.5, .6, .7]})"
        ".set_index(['a', 'b']).unstack()",
        "(value.to_string(), [str(c) for c in value.columns])",
    ),
    "pandas arrow backed": Case(
        "pyarrow",
        "import pandas as pd\nvalue = pd.DataFrame({'a': pd.array([1, None], dtype='int64[pyarrow]'), "
        "'b': pd.array(['x', None], dtype='string[pyarrow]')})",
        "(value.to_string(), value.dtypes.astype(str).to_dict())",
    ),
    "pandas categorical and groups": Case(
        "pandas",
        "import pandas as pd\nvalue = pd.DataFrame({'k': pd.Categorical(list('aba')), 'v': [1, 2, 3]})"
        ".groupby('k', observed=True)",
        "value.sum().to_dict()",
    ),
    "polars frame": Case(
        "polars",
        "import polars as pl\nvalue = pl.DataFrame({'a': [1, 2, None], 'b': ['x', 'y', None], 'c': [[1], [], [2, 3]]})",
        "(value.to_dicts(), {k: str(v) for k, v in value.schema.items()})",
    ),
    "polars lazy": Case(
        "polars",
        "import polars as pl\nvalue = pl.DataFrame({'a': [1, 2, 3]}).lazy().filter(pl.col('a') > 1)",
        "value.collect().to_dicts()",
    ),
    "pyarrow table": Case(
        "pyarrow",
        "import pyarrow as pa\n"
        "value = pa.table({'a': [1, None, 3], 'b': pa.array(['x', 'y', 'x']).dictionary_encode()})",
        "(value.to_pylist(), str(value.schema))",
    ),
    "scipy sparse": Case(
        "scipy",
        "import scipy.sparse as sp\nvalue = sp.random_array((30, 40), density=0.1, rng=3, format='csr')",
        "(value.shape, value.indices.tolist(), value.data.tolist())",
    ),
    "scikit-learn pipeline": Case("sklearn", SKLEARN, "(value.predict(value[0].mean_[None]).tolist(), repr(value))"),
    "scikit-learn forest": Case(
        "sklearn",
        "from sklearn.datasets import load_iris\nfrom sklearn.ensemble import RandomForestClassifier\n"
        "X, y = load_iris(return_X_y=True)\nvalue = RandomForestClassifier(20, random_state=1).fit(X, y)",
        "value.predict_proba([[5, 3, 2, 1]]).tolist()",
    ),
    "statsmodels results": Case(
        "statsmodels",
        "import numpy as np, statsmodels.api as sm\nx = np.arange(20.0)\n"
        "value = sm.OLS(2 * x + 1 + np.sin(x), sm.add_constant(x)).fit()",
        "(value.params.tolist(), value.rsquared)",
    ),
    "lightgbm model": Case(
        "lightgbm",
        "import lightgbm, numpy as np\nx = np.random.default_rng(0).random((200, 3))\n"
        "value = lightgbm.LGBMRegressor(n_estimators=5, verbose=-1, n_jobs=1).fit(x, x.sum(axis=1))",
        "value.predict([[.1, .2, .3]]).tolist()",
    ),
    "networkx graph": Case(
        "networkx",
        "import networkx as nx\nvalue = nx.karate_club_graph()",
        "(sorted(value.degree), value.nodes[0], nx.shortest_path(value, 0, 33))",
    ),
    "sympy expression": Case(
        "sympy",
        "import sympy as s\nx = s.symbols('x', positive=True)\nvalue = s.integrate(s.sin(x) * x, x)",
        "str(value)",
    ),
    "matplotlib figure": Case(
        "matplotlib",
        "from matplotlib.figure import Figure\nvalue = Figure()\n_ = value.subplots().plot([1, 2], [3, 4])",
        "[line.get_xydata().tolist() for line in value.axes[0].lines]",
    ),
    "seaborn figure": Case(
        "seaborn",
        "import seaborn\nfrom matplotlib.figure import Figure\nvalue = Figure()\n"
        "_ = seaborn.histplot([1, 2, 2, 3], bins=3, ax=value.subplots())",
        "[float(bar.get_height()) for bar in value.axes[0].patches]",
    ),
    "plotly figure": Case(
        "plotly",
        "import plotly.graph_objects as go\nvalue = go.Figure(go.Scatter(x=[1, 2], y=[3, 4]))",
        "value.to_dict()['data']",
    ),
    "PIL image": Case(
        "PIL",
        "from PIL import Image\nvalue = Image.linear_gradient('L').resize((16, 16))",
        "(value.mode, value.size, value.tobytes().hex())",
    ),
    "torch tensor": Case(
        "torch",
        "import torch\nvalue = torch.arange(60_000, dtype=torch.bfloat16).reshape(200, 300).T",
        "(value.shape, value.stride(), str(value.dtype), value[1].tolist())",
    ),
    "torch views": Case(
        "torch",
        "import torch\nx = torch.arange(6.0)\nvalue = [x, x[2:4], x.reshape(2, 3), x.data]",
        "(value[1].add_(0).data_ptr() - value[0].data_ptr(), len({v.untyped_storage().data_ptr() for v in value}),"
        " [v.tolist() for v in value])",
    ),
    "torch sparse": Case(
        "torch", "import torch\nvalue = torch.eye(3).to_sparse()", "(str(value.layout), value.to_dense().tolist())"
    ),
    "torch module": Case(
        "torch",
        "import torch\nfrom torch import nn\ntorch.manual_seed(1)\n"
        "value = nn.Sequential(nn.Linear(3, 300), nn.BatchNorm1d(300), nn.Linear(300, 1))\n"
        "value(torch.ones(4, 3)).sum().backward()",
        "([p.grad.tolist() for p in value.parameters()], value.eval()(torch.ones(1, 3)).tolist(), repr(value))",
    ),
    "torch optimizer and scheduler": Case(
        "torch",
        "import torch\ntorch.manual_seed(1)\nnet = torch.nn.Linear(3, 1)\n"
        "adam = torch.optim.Adam(net.parameters(), lr=0.1)\n"
        "value = torch.optim.lr_scheduler.ExponentialLR(adam, 0.5)\nnet(torch.ones(2, 3)).sum().backward()",
        "(value.optimizer.step(), value.step(), value.get_last_lr(), "
        "[p.tolist() for p in value.optimizer.param_groups[0]['params']])",
    ),
    "torch dataset": Case(
        "torch",
        "import torch\nfrom torch.utils.data import TensorDataset, DataLoader\n"
        "value = DataLoader(TensorDataset(torch.arange(6), torch.arange(6) * 2), batch_size=4)",
        "[[part.tolist() for part in batch] for batch in value]",
    ),
    "torch generator": Case(
        "torch",
        "import torch\nvalue = torch.Generator().manual_seed(4); torch.rand(1, generator=value)",
        "torch.rand(2, generator=value).tolist()",
    ),
    "attrs": Case(
        "attrs",
        "import attrs\n@attrs.define\nclass Point:\n    x: int\n    y: list\nvalue = Point(1, [2])",
        "(repr(value), isinstance(value, Point), value == Point(1, [2]))",
    ),
    "pydantic": Case(
        "pydantic",
        "import pydantic\nclass Row(pydantic.BaseModel):\n    n: int\n    more: dict[str, float] = {}\n"
        "value = Row(n='3', more={'a': 1})",
        "(value.model_dump(), isinstance(value, Row), repr(Row.model_fields['n']))",
    ),
}


@pytest.fixture(scope="module")
def kernels():
    with engine_home() as home, kernel_at(home.env | THREADS) as marked, kernel_at(home.env | THREADS) as plain:
        marked.run("%load_ext kernel_magics")
        yield plain, marked


def told(kernel: Kernel, case: Case, *, name: str = "told") -> str:
    return str(kernel.look(f"repr({name})"))


@pytest.mark.long
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_value_travels_both_ways_unchanged(kernels: tuple[Kernel, Kernel], case: Case):
    if importlib.util.find_spec(case.module) is None:
        pytest.skip(f"{case.module} is not installed")
    plain, marked = kernels
    plain.run(f"{case.make}\ntold = {case.tell}")
    expected = told(plain, case)
    kind = plain.look("f'{type(value).__module__}.{type(value).__qualname__}'")

    marked.run(case.make)
    marked.run(f"%%step there\nseen = {case.tell}\nkind = f'{{type(value).__module__}}.{{type(value).__qualname__}}'")
    marked.run("seen, kind")
    assert told(marked, case, name="seen") == expected
    assert marked.look("kind") == kind

    marked.run(f"%%step back\n{case.make}")
    marked.run(f"told = {case.tell}")
    assert told(marked, case) == expected
    assert marked.look("f'{type(value).__module__}.{type(value).__qualname__}'") == kind
