"""What notebooks make, and what must hold where it is received.

Each case: the cell that makes the values, the names that are sent, the cell of assertions for the other side.
"""

from __future__ import annotations

__all__ = ["PYTHON", "SCIENCE"]

PYTHON: dict[str, tuple[str, str, str]] = {
    "constants": (
        """
        v = [None, True, 1, 2**100, 1.5, float('inf'), 1j, 'é\\ud800', b'\\0', ..., range(3), slice(1, 2)]
        """,
        "v",
        """
        assert v == [None, True, 1, 2**100, 1.5, float('inf'), 1j, 'é\\ud800', b'\\0', ..., range(3), slice(1, 2)]
        """,
    ),
    "containers": (
        "v = {'l': [1, (2,)], (1, 2): {3, frozenset({4})}, None: bytearray(b'x')}",
        "v",
        """
        assert v == {'l': [1, (2,)], (1, 2): {3, frozenset({4})}, None: bytearray(b'x')}
        assert list(v)[0] == 'l'
        """,
    ),
    "the standard library": (
        """
        import collections, datetime, decimal, fractions, pathlib, re, uuid, types
        v = [collections.Counter('aab'), collections.OrderedDict(b=1, a=2), collections.deque([1, 2], 5),
             collections.defaultdict(list, a=[1]), datetime.datetime(2024, 1, 1, tzinfo=datetime.timezone.utc),
             decimal.Decimal('1.10'), fractions.Fraction(1, 3), pathlib.Path('/x'), re.compile('a+', re.I),
             uuid.UUID(int=5), types.SimpleNamespace(a=1), collections.ChainMap({}, {'a': 1})]
        text = repr(v)
        """,
        "v text",
        "assert repr(v) == text; v[3]['new'].append(1); assert v[2].maxlen == 5",
    ),
    "a cycle": (
        "v = [1]; v.append(v); d = {}; d['d'] = d",
        "v d",
        "assert v[1] is v; assert d['d'] is d",
    ),
    "aliases among names": (
        "a = [1]; b = {'a': a}; c = [1]",
        "a b c",
        "a.append(2); assert b['a'] is a; assert c == [1]",
    ),
    "a large text": (
        "v = 'abc' * 1_000_000",
        "v",
        "assert v == 'abc' * 1_000_000",
    ),
    "an exception": (
        """
        class Bad(ValueError):
            def __init__(self, a, b):
                super().__init__(a)
                self.b = b
            def __reduce__(self): return Bad, (self.args[0], self.b)
        v = Bad('x', [1])
        """,
        "v Bad",
        "assert isinstance(v, Bad) and v.args == ('x',) and v.b == [1]",
    ),
    "modules": (
        "import math, os.path; v = [math, os.path]",
        "v math",
        "assert v[0] is math; assert v[1].sep == '/'",
    ),
    "functions of a module": (
        "import math, os; v = [math.sin, os.path.join, len]",
        "v",
        "assert v[2]('ab') == 2",
    ),
    "a lambda": (
        "k = 3; v = [lambda x: x + k]",
        "v k",
        "assert v[0](1) == 4; k = 10; assert v[0](1) == 11",
    ),
}
SCIENCE: dict[str, tuple[str, str, str]] = {
    "arrays": (
        """
        import numpy as np
        big = np.arange(100_000.0).reshape(100, 1000)
        columns = np.asfortranarray(big[:, :900])
        every = big[::2, ::3]
        small = np.array([1, 2], dtype='>i2')
        empty = np.empty((0, 3))
        one = np.array(5)
        text = np.array(['a', 'bc'])
        dates = np.array(['2024-01-01'], dtype='M8[D]'); objects = np.array([[1], None, 'x'], dtype=object)
        table = np.zeros(3, dtype=[('a', 'i4'), ('b', 'f8', (2,))])
        masked = np.ma.masked_greater(np.arange(5), 2)
        """,
        "big columns every small empty one text dates objects table masked",
        """
        import numpy as np
        whole = np.arange(100_000.0).reshape(100, 1000)
        assert (big == whole).all() and (columns == whole[:, :900]).all() and (every == whole[::2, ::3]).all()
        assert columns.flags.f_contiguous and small.dtype == '>i2' and small.tolist() == [1, 2]
        assert empty.shape == (0, 3) and one == 5 and text.tolist() == ['a', 'bc'] and str(dates[0]) == '2024-01-01'
        assert objects.tolist() == [[1], None, 'x'] and table.dtype.names == ('a', 'b') and masked.sum() == 3
        big[0, 0] = -1; assert every[0, 0] == -1, 'a view goes on sharing'; assert columns[0, 0] == 0
        """,
    ),
    "views": (
        """
        import numpy as np
        a = np.arange(50_000)
        head = a[:10]
        back = a[::-1]
        bits = a.view('u8')
        turned = a.reshape(100, 500).T
        base = np.zeros(1000); left, right = base[:600], base[400:]; del base
        fixed = a[5:]; fixed.flags.writeable = False; inner = {'w': [a[20:30]]}
        """,
        "a head back bits turned left right fixed inner",
        """
        a[1] = 99; assert head[1] == back[-2] == bits[1] == turned[1, 0] == 99
        left[450] = 7; assert right[50] == 7
        a[25] = -5; assert inner['w'][0][5] == -5 and fixed[20] == -5 and not fixed.flags.writeable
        """,
    ),
    "a read-only array": (
        """
        import numpy as np
        v = np.arange(20_000.0); v.flags.writeable = False
        """,
        "v",
        "assert v[5] == 5.0 and not v.flags.writeable",
    ),
    "frames": (
        """
        import pandas as pd, numpy as np
        f = pd.DataFrame({'a': np.arange(20_000), 'b': 'text', 'c': pd.Categorical(['x', 'y'] * 10_000),
                          't': pd.date_range('2024', periods=20_000, freq='h', tz='UTC'),
                          'n': pd.array([1, None] * 10_000, dtype='Int64')}, index=pd.RangeIndex(5, 20_005, name='i'))
        wide = f.set_index(['a', 'c']); s = f['t']; parts = dict(list(f.head(10).groupby('c', observed=True)))
        f.attrs['from'] = [1]; empty = pd.DataFrame()
        """,
        "f wide s parts empty",
        """
        import pandas as pd
        assert f.shape == (20_000, 5) and f.a.sum() == 199_990_000 and f.index.name == 'i' and f.attrs == {'from': [1]}
        assert str(f.dtypes['n']) == 'Int64' and f.n.isna().sum() == 10_000 and str(f.t.dt.tz) == 'UTC'
        assert wide.index.names == ['a', 'c'] and s.iloc[1] == pd.Timestamp('2024-01-01 01:00', tz='UTC')
        assert parts['x'].shape == (5, 5) and empty.empty
        f.loc[5, 'a'] = 100; assert f.a.iloc[0] == 100; f['new'] = 1; assert wide.shape == (20_000, 3)
        """,
    ),
    "sparse matrices": (
        """
        import scipy.sparse as sp
        m = sp.random(1000, 1000, 0.05, format='csr', rng=1); t = m.T.tocoo(); total = m.sum()
        """,
        "m t total",
        """
        assert m.format == 'csr' and abs(m.sum() - total) < 1e-9 and (m.T != t).nnz == 0
        m.data[:] = 1
        assert m.sum() == m.nnz
        """,
    ),
    "a fitted pipeline": (
        """
        import numpy as np
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler, FunctionTransformer
        from sklearn.ensemble import RandomForestClassifier
        def log(x): return np.log1p(np.abs(x))
        rng = np.random.default_rng(0); X = rng.normal(size=(300, 5)); y = (X[:, 0] > 0).astype(int)
        forest = RandomForestClassifier(8, random_state=0)
        model = make_pipeline(FunctionTransformer(log), StandardScaler(), forest).fit(X, y)
        expected = model.predict_proba(X); state = rng.bit_generator.state['state']
        """,
        "model X expected rng state np log",
        """
        assert (model.predict_proba(X) == expected).all() and model[0].func is log
        assert rng.bit_generator.state['state'] == state; rng.normal()
        """,
    ),
}
