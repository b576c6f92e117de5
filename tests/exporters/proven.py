"""Five notebooks with randomness, plots, classes and all that makes a run elsewhere come out differently."""

from __future__ import annotations

__all__ = ["PROVEN"]


def cells(text: str) -> tuple[str, ...]:
    """The cells of a notebook, which are divided by lines of dashes."""
    return tuple(each.strip("\n") for each in text.split("\n-----\n"))


RANDOMNESS = cells("""
%load_ext kernel_magics
-----
import random
import numpy as np
-----
# parameters
seed = 7
size = 200
-----
random.seed(seed)
np.random.seed(seed)
-----
%%step draw --memory 400MiB
rolls = [random.randint(1, 6) for _ in range(size)]
noise = np.random.normal(size=size)
-----
early = np.random.rand()
-----
%%step walk --memory 400MiB
path = (noise + np.random.normal(size=size)).cumsum()
odd = random.sample(rolls, 5)
-----
generator = np.random.default_rng([seed, size])
-----
%%step more --memory 400MiB
last = generator.permutation(10)
then = generator.normal(size=3) + path[-1] + early
""")

PLOTS = cells("""
%load_ext kernel_magics
-----
import matplotlib.pyplot as plt
import numpy as np
%matplotlib inline
-----
def drawn(values, title):
    figure, axis = plt.subplots(figsize=(4, 2))
    axis.plot(values, label=title)
    axis.legend()
    axis.set_title(title)
    return figure
-----
%%step curve --memory 500MiB
x = np.linspace(0, 6, 50)
figure = drawn(np.sin(x), 'sine')
plt.close(figure)
-----
%%step image --memory 500MiB
picture = np.outer(np.sin(x), np.cos(x))
plt.imshow(picture)
plt.show()
peak = picture.max()
-----
%%step save --memory 500MiB
import io
buffer = io.BytesIO()
figure.savefig(buffer, format='raw', dpi=50)
written = len(buffer.getvalue())
""")

CLASSES = cells("""
%load_ext kernel_magics
-----
from collections import defaultdict, namedtuple
from dataclasses import dataclass, field
from enum import Enum
-----
class Kind(Enum):
    SMALL = 1
    LARGE = 2

Pair = namedtuple('Pair', 'left right')
-----
@dataclass
class Node:
    name: str
    kind: Kind = Kind.SMALL
    children: list = field(default_factory=list)
    def add(self, name):
        child = Node(name)
        child.parent = self
        self.children.append(child)
        return child
-----
class Counter(dict):
    __slots__ = ('seen',)
    def __init__(self):
        super().__init__()
        self.seen = 0
    def note(self, key):
        self[key] = self.get(key, 0) + 1
        self.seen += 1
        return self
-----
%%step build --memory 400MiB
root = Node('root', Kind.LARGE)
leaf = root.add('a').add('b')
pairs = {Pair(1, 'x'), Pair(2, 'y')}
-----
%%step count --memory 400MiB
counter = Counter().note('a').note('a').note('b')
by_kind = defaultdict(list)
by_kind[root.kind].append(leaf)
leaf.parent.name = 'renamed'
-----
def scaled(factor):
    return lambda value: value * factor
scale = scaled(3)
-----
%%step apply --memory 400MiB
tripled = [scale(value) for value in counter.values()]
method = root.add
same = leaf.parent.parent is root
""")

FRAMES = cells("""
%load_ext kernel_magics
-----
import numpy as np
import pandas as pd
-----
%%step make --memory 600MiB
rng = np.random.default_rng(3)
days = pd.date_range('2026-01-01', periods=100, tz='Europe/Berlin')
frame = pd.DataFrame({'key': list('abcab') * 20, 'value': rng.normal(size=100), 'when': days})
frame['kind'] = frame['key'].astype('category')
-----
frame['value'] = frame['value'].round(3)
view = frame[['key', 'value']]
-----
%%step group --memory 600MiB
sums = frame.groupby('key')['value'].sum()
wide = frame.pivot_table(index='key', columns=frame['when'].dt.month, values='value')
frame.loc[0, 'value'] = np.nan
missing = frame['value'].isna().sum()
-----
%%step join --memory 600MiB
joined = view.merge(sums.rename('sum'), on='key')
ranks = joined.rank()
levels = wide.stack()
""")

MODELS = cells("""
%load_ext kernel_magics
-----
import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.datasets import make_classification
from sklearn.ensemble import RandomForestClassifier
from sklearn.pipeline import make_pipeline
-----
class Clip(TransformerMixin, BaseEstimator):
    def __init__(self, most=2.0):
        self.most = most
    def fit(self, X, y=None):
        self.limits_ = np.quantile(np.abs(X), 0.9, axis=0)
        return self
    def transform(self, X):
        return np.clip(X, -self.limits_ * self.most, self.limits_ * self.most)
-----
%%step data --memory 600MiB
X, y = make_classification(n_samples=300, random_state=5)
labels = np.array(['no', 'yes'], dtype=object)[y]
-----
%%step fit --cpu 2 --memory 800MiB
model = make_pipeline(Clip(), RandomForestClassifier(20, random_state=5, n_jobs=-1))
model.fit(X, labels)
-----
%%step score --memory 600MiB
import cellyard
accuracy = model.score(X, labels)
importances = model[-1].feature_importances_
cellyard.log_metric('accuracy', accuracy)
chosen = sorted(range(len(importances)), key=lambda at: -importances[at])[:3]
""")

PROVEN = {"randomness": RANDOMNESS, "plots": PLOTS, "classes": CLASSES, "frames": FRAMES, "models": MODELS}
"""By name, their cells."""
