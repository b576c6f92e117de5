"""What a cell surely changes in place, and what it does to the process. Pure: a syntax tree in, names out.

:class:`~cellyard.analysis.Facts` say what a cell *may* change, and any call may change its arguments. A pipeline that
believed that would run everything in a row. So a step changes what its code shows it to change, directly or through the
notebook's own functions; a change that nobody can see shows when the step ends, and what came too early runs again.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from cellyard.analysis.imports import bound_by_imports

__all__ = [
    "Effects",
    "Modules",
    "aliases_of",
    "effects_of",
    "imported_modules",
    "mutated_parameters",
    "surely_bound",
]

Modules = Mapping[str, str]
"""Names that imports have bound, with what they mean: ``np`` -> ``numpy``, ``seed`` -> ``numpy.random.seed``."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_CHANGING = _words(
    """
    add add_node add_edge append appendleft backward clear difference_update discard extend extendleft fill fit
    fit_transform heapify insert insert_many intersection_update itemset load_state_dict move_to_end partial_fit pop
    popitem popleft push put remove resize reverse rotate setdefault setflags shuffle sort step subtract
    symmetric_difference_update update write writelines zero_grad
    integers normal choice standard_normal permutation uniform exponential poisson binomial randint choices gauss
    """
)
"""Methods that change their object, whatever becomes of their result: containers, models, random generators."""
_SHOWING = _words(
    """
    axis close describe display hist head imshow info legend line plot print save savefig set_title set_xlabel
    set_ylabel show tail text scatter bar barh pie boxplot annotate grid tight_layout suptitle
    """
)
"""Methods called for what they show."""
_SHOWING_MODULES = _words(
    "matplotlib seaborn plotly altair bokeh IPython logging warnings pprint rich tqdm json pickle"
)
_GENERATORS = _words(
    "default_rng Generator RandomState SeedSequence PCG64 MT19937 Philox SFC64 Random SystemRandom BitGenerator"
)
_STOCHASTIC = _words(
    """
    train_test_split KMeans MiniBatchKMeans RandomForestClassifier RandomForestRegressor ExtraTreesClassifier
    ExtraTreesRegressor GradientBoostingClassifier GradientBoostingRegressor HistGradientBoostingClassifier
    HistGradientBoostingRegressor MLPClassifier MLPRegressor SGDClassifier SGDRegressor BaggingClassifier
    BaggingRegressor AdaBoostClassifier AdaBoostRegressor IsolationForest TSNE TruncatedSVD GaussianMixture
    RandomizedSearchCV permutation_importance resample DecisionTreeClassifier DecisionTreeRegressor ShuffleSplit
    StratifiedShuffleSplit Perceptron NMF FastICA make_blobs make_classification make_regression make_moons
    make_circles
    """
)
_DRAWING = (
    "numpy.random.", "random.", "torch.rand", "torch.normal", "torch.bernoulli", "torch.multinomial", "torch.poisson",
    "torch.manual_seed", "torch.seed", "torch.set_rng_state", "torch.get_rng_state", "torch.dropout", "torch.nn.",
    "torch.utils.data.", "torch.distributions.",
)  # fmt: skip
_DRAWING_METHODS = _words(
    "bernoulli_ cauchy_ exponential_ geometric_ log_normal_ normal_ random_ uniform_ multinomial bernoulli"
)
"""Of tensors."""
_NOT_DRAWING = re.compile(
    r"torch\.nn\.(functional(?!\.(\w*dropout|rrelu|gumbel))|utils|parameter|modules?|Module|Parameter|Buffer|Sequential"
    r"|Identity|Flatten|ReLU|GELU|SiLU|Tanh|Sigmoid|\w*Softmax|\w*Loss|\w*Pool|BatchNorm|LayerNorm)|torch\.nn\Z"
)
"""Of torch's layers those that have no weights to begin with."""
_STATE_CALLS = (
    "os.chdir", "os.putenv", "os.unsetenv", "os.environ", "os.umask", "sys.path", "sys.setrecursionlimit",
    "matplotlib.rc", "matplotlib.pyplot.rc", "matplotlib.style.use", "matplotlib.pyplot.style.use", "matplotlib.use",
    "seaborn.set", "pandas.set_option", "pandas.reset_option", "pandas.options", "numpy.set_printoptions",
    "numpy.seterr", "warnings.filterwarnings", "warnings.simplefilter", "logging.basicConfig", "decimal.setcontext",
    "torch.set_default", "torch.set_printoptions", "torch.use_deterministic", "csv.field_size_limit",
    "csv.register_dialect", "locale.setlocale", "matplotlib.cm.register_cmap", "matplotlib.colormaps.register",
    "matplotlib.font_manager.fontManager", "matplotlib.pyplot.register_cmap", "multiprocessing.set_start_method",
    "nltk.data.path", "pandas.api.extensions.register", "plotly.io.templates", "sklearn.set_config",
    "socket.setdefaulttimeout", "sys.set_int_max_str_digits", "tqdm.auto.tqdm.pandas", "tqdm.autonotebook.tqdm.pandas",
    "tqdm.notebook.tqdm.pandas", "tqdm.tqdm.pandas", "urllib.request.install_opener",
)  # fmt: skip
_OUTSIDE = (
    "requests.", "urllib.request.", "http.client.", "httpx.", "aiohttp.", "socket.", "subprocess.", "ftplib.",
    "smtplib.", "boto3.", "s3fs.", "fsspec.", "sqlite3.connect", "sqlalchemy.create_engine", "psycopg.", "pymongo.",
    "time.time", "time.localtime", "time.strftime", "datetime.datetime.now", "datetime.datetime.today",
    "datetime.datetime.utcnow", "datetime.date.today", "pandas.Timestamp.now", "pandas.Timestamp.today", "uuid.uuid1",
    "uuid.uuid4", "secrets.", "os.urandom", "os.listdir", "os.scandir", "os.walk",
    "os.getenv", "os.environ.get", "os.remove", "os.unlink",
    "os.rename", "os.replace", "os.makedirs", "os.mkdir", "os.system", "os.popen", "os.stat",
    "os.path.exists", "os.path.getsize", "os.path.getmtime", "glob.", "shutil.", "tempfile.", "pandas.read_",
    "polars.read_", "polars.scan_", "pyarrow.parquet.", "pyarrow.csv.", "numpy.load", "numpy.save", "numpy.loadtxt",
    "numpy.genfromtxt", "numpy.savetxt", "numpy.fromfile", "joblib.load", "joblib.dump", "pickle.load", "pickle.dump",
    "json.load", "json.dump", "yaml.safe_load", "io.open", "gzip.open", "zipfile.", "tarfile.", "duckdb.",
    "PIL.Image.open", "matplotlib.pyplot.savefig", "matplotlib.pyplot.imread", "get_ipython", "os.getcwd",
    "pathlib.Path.cwd", "torch.load", "torch.save", "torch.hub.",
)  # fmt: skip
_INSIDE = ("pickle.loads", "pickle.dumps", "json.loads", "json.dumps")
_OUTSIDE_BUILTINS = frozenset({"open", "input"})
_OUTSIDE_METHODS = (
    "to_csv", "to_parquet", "to_excel", "to_sql", "to_json", "to_pickle", "to_feather", "to_hdf", "savefig",
    "write_text", "write_bytes", "write_csv", "write_parquet", "read_text", "read_bytes", "unlink", "mkdir", "rmdir",
    "iterdir", "rglob", "save_model", "execute", "commit", "urlopen", "download",
)  # fmt: skip
_SIMPLE = (ast.Assign, ast.AugAssign, ast.AnnAssign, ast.Expr, ast.Delete, ast.Pass)
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)


@dataclass(frozen=True, slots=True)
class Effects:
    """``changed``: names whose values the code surely changes in place. ``random``: whether it draws from the random
    state of the process, or sets it. ``state``: whether it changes any other of the listed process state.
    ``outside``: the first place where it looks at the world beside the notebook, or changes it: (line, what)."""

    changed: frozenset[str] = frozenset()
    random: bool = False
    state: bool = False
    outside: tuple[int, str] | None = None


def effects_of(
    body: Iterable[ast.stmt],
    modules: Modules,
    mutators: Mapping[str, frozenset[str | int]] | None = None,
    *,
    deep: bool = False,
) -> Effects:
    """The effects of running these statements. ``mutators``: for the notebook's functions, the parameters (by position
    and name) that they change, see :func:`mutated_parameters`. ``deep``: also those of the functions and classes among
    the statements, when they are used; without names."""
    reader = _Reader(modules, mutators or {})
    statements = list(body)
    if deep:
        for node in (each for statement in statements for each in ast.walk(statement)):
            reader.look(node)
        return Effects(frozenset(), reader.random, reader.state, reader.outside)
    for number, statement in enumerate(statements):
        reader.statement(statement, is_last=number == len(statements) - 1)
    return Effects(frozenset(reader.changed), reader.random, reader.state, reader.outside)


def imported_modules(body: Iterable[ast.stmt]) -> dict[str, str]:
    """What the import statements among these bind."""
    return bound_by_imports(_own([each for each in body if not isinstance(each, _SIMPLE)]))


def surely_bound(body: Iterable[ast.stmt]) -> frozenset[str]:
    """Names that statements at the top level bind without a condition."""
    found: set[str] = set()
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            found |= imported_modules([node]).keys()
        elif isinstance(node, ast.Assign | ast.AnnAssign | ast.AugAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {each.id for target in targets for each in ast.walk(target) if _is_stored(each)}  # type: ignore[attr-defined]
        elif isinstance(node, ast.With | ast.AsyncWith):
            found |= surely_bound(node.body)
    return frozenset(found)


def aliases_of(body: Iterable[ast.stmt]) -> list[tuple[str, str]]:
    """Pairs of names of which the first is bound to the second's object, or to a view of it."""
    found: list[tuple[str, str]] = []
    for node in _own(body):
        if isinstance(node, ast.Assign):
            root = _root(node.value) if _is_shared(node.value) else None
            found += [(each.id, root) for each in node.targets if isinstance(each, ast.Name) and root is not None]
    return found


def _is_shared(value: ast.expr) -> bool:
    if isinstance(value, ast.Subscript):
        parts = value.slice.elts if isinstance(value.slice, ast.Tuple) else [value.slice]
        return any(isinstance(part, ast.Slice) for part in parts)
    return isinstance(value, ast.Name) or (isinstance(value, ast.Attribute) and value.attr in {"T", "values", "flat"})


def _is_stored(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)


def mutated_parameters(
    functions: Mapping[str, ast.FunctionDef | ast.AsyncFunctionDef], modules: Modules
) -> dict[str, frozenset[str | int]]:
    """For each function: which of its parameters it changes in place, by position and by name; and under ``"global "``
    and a name, which other names."""
    found: dict[str, frozenset[str | int]] = {name: frozenset() for name in functions}
    for _ in range(3):
        before = dict(found)
        for name, node in functions.items():
            found[name] = frozenset(_mutated_by(node, modules, before))
        if found == before:
            break
    return found


def _mutated_by(
    node: ast.FunctionDef | ast.AsyncFunctionDef, modules: Modules, mutators: Mapping[str, frozenset[str | int]]
) -> Iterator[str | int]:
    given = node.args
    names = [each.arg for each in (*given.posonlyargs, *given.args)]
    others = [each.arg for each in (*given.kwonlyargs, given.vararg, given.kwarg) if each is not None]
    changed = effects_of([*node.body, ast.Pass()], modules, mutators).changed
    local = set(names) | set(others)
    stored = {each.id for each in _own(node.body) if _is_stored(each)}  # type: ignore[attr-defined]
    for position, name in enumerate(names):
        if name in changed and name not in stored:
            yield from (position, name)
    yield from (name for name in others if name in changed)
    yield from (f"global {name}" for name in changed - local - stored)


class _Reader:
    def __init__(self, modules: Modules, mutators: Mapping[str, frozenset[str | int]]) -> None:
        self._modules = modules
        self._mutators = mutators
        self.changed: set[str] = set()
        self.random = False
        self.state = False
        self.outside: tuple[int, str] | None = None

    def statement(self, node: ast.stmt, *, is_last: bool) -> None:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call) and not is_last:
            self._discarded(node.value)
        for each in _own([node]):
            if isinstance(each, ast.Expr) and isinstance(each.value, ast.Call) and each is not node:
                self._discarded(each.value)
            self.look(each)

    def look(self, node: ast.AST) -> None:
        """What this node does, without those below it."""
        if isinstance(node, ast.Assign | ast.Delete | ast.For):
            for target in node.targets if not isinstance(node, ast.For) else [node.target]:
                self._target(target)
        elif isinstance(node, ast.AugAssign):
            self._change(node.target)
            self._target(node.target)
        elif isinstance(node, ast.AnnAssign):
            self._target(node.target)
        elif isinstance(node, ast.Call):
            self._call(node)
        elif isinstance(node, ast.Attribute | ast.Name):
            self._use(node)

    def _target(self, target: ast.expr) -> None:
        if isinstance(target, ast.Tuple | ast.List):
            for each in target.elts:
                self._target(each)
        elif isinstance(target, ast.Attribute | ast.Subscript):
            meaning = self._meaning(target)
            if meaning.startswith(_STATE_CALLS) or "rcParams" in meaning or self._is_of_module(target):
                self.state = True
            self._change(target)

    def _is_of_module(self, node: ast.expr) -> bool:
        """Whether it is an attribute of what was imported: one that is set there is so for all later cells."""
        return isinstance(node, ast.Attribute) and _root(node) in self._modules

    def _change(self, node: ast.expr) -> None:
        root = _root(node)
        if root is not None and root not in self._modules:
            self.changed.add(root)

    def _discarded(self, call: ast.Call) -> None:
        """A call whose value nobody takes is made for what it does."""
        function = call.func
        root, meaning = _root(function), self._meaning(function)
        shows = meaning.partition(".")[0] in _SHOWING_MODULES or (
            isinstance(function, ast.Attribute) and function.attr.startswith((*_SHOWING, "to_", "save", "set_"))
        )
        if shows or root is None:
            return
        if isinstance(function, ast.Attribute) and root not in self._modules:
            self._change(function)
        elif not hasattr(builtins, root) and root not in self._mutators:
            for argument in (*call.args, *(each.value for each in call.keywords)):
                if isinstance(argument, ast.Name | ast.Attribute | ast.Subscript):
                    self._change(argument)

    def _call(self, call: ast.Call) -> None:
        function = call.func
        names = {each.arg: each.value for each in call.keywords if each.arg}
        if isinstance(function, ast.Attribute):
            is_own = _root(function) not in self._modules
            inplace = names.get("inplace")
            if is_own and (_is_changing(function.attr) or (isinstance(inplace, ast.Constant) and inplace.value)):
                self._change(function.value)
            self.random = self.random or (is_own and function.attr in _DRAWING_METHODS)
            if function.attr == "sample" and "random_state" not in names and is_own:
                self.random = True
            if not is_own and function.attr in {"shuffle", "heappush", "heappop", "heapify"} and call.args:
                self._change(call.args[0])
        elif isinstance(function, ast.Name):
            self._call_of_name(function.id, call, names)
        if "out" in names:
            self._change(names["out"])
        meaning = self._meaning(function)
        self._look_outside(call, meaning)
        last = meaning.rpartition(".")[2]
        if last in _STOCHASTIC and "random_state" not in names and None not in {k.arg for k in call.keywords}:
            self.random = True

    def _look_outside(self, call: ast.Call, meaning: str) -> None:
        method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        is_method = method.startswith(_OUTSIDE_METHODS) and bool(call.args or call.keywords)
        if (
            is_method
            or (meaning.startswith(_OUTSIDE) and not meaning.startswith(_INSIDE))
            or meaning in _OUTSIDE_BUILTINS
        ):
            line = call.lineno
            if self.outside is None or line < self.outside[0]:
                self.outside = (line, ast.unparse(call.func))

    def _call_of_name(self, name: str, call: ast.Call, names: Mapping[str, ast.expr]) -> None:
        if name in {"setattr", "delattr"} and call.args and _root(call.args[0]) in self._modules:
            self.state = True
        if name == "next" and call.args:
            self._change(call.args[0])
        for which in self._mutators.get(name, ()):
            if isinstance(which, int):
                if which < len(call.args):
                    self._change(call.args[which])
            elif which.startswith("global "):
                self.changed.add(which.removeprefix("global "))
            elif which in names:
                self._change(names[which])

    def _use(self, node: ast.Attribute | ast.Name) -> None:
        meaning = self._meaning(node)
        if meaning.startswith(_DRAWING) and not _NOT_DRAWING.match(meaning):
            parts = meaning.removeprefix("numpy.").split(".")
            self.random = self.random or parts[1] not in _GENERATORS
        is_listed = meaning.startswith(_STATE_CALLS) and meaning.partition(".")[0] not in {"os", "sys"}
        if is_listed or meaning in {"os.chdir", "os.putenv", "os.unsetenv", "sys.set_int_max_str_digits"}:
            self.state = True

    def _meaning(self, node: ast.expr) -> str:
        """What a dotted name means, through the imports; empty for anything else."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute | ast.Subscript | ast.Call):
            if isinstance(node, ast.Attribute):
                parts.append(node.attr)
            node = node.func if isinstance(node, ast.Call) else node.value
        if not isinstance(node, ast.Name):
            return ""
        return ".".join([self._modules.get(node.id, node.id if not parts else f"?{node.id}"), *reversed(parts)])


def _is_changing(method: str) -> bool:
    """Those of tensors are told by their last letter."""
    return method in _CHANGING or (method.endswith("_") and not method.startswith("_"))


def _own(body: Iterable[ast.stmt]) -> Iterator[ast.AST]:
    """All nodes that run when the statements run: not those inside functions, lambdas and classes."""
    pending: list[ast.AST] = list(body)
    while pending:
        node = pending.pop()
        yield node
        if isinstance(node, _SCOPES):
            pending.extend(getattr(node, "decorator_list", ()))
            continue
        for name in node._fields:
            value = getattr(node, name, None)
            if isinstance(value, ast.AST):
                if value._fields:  # not what only says how a name is used
                    pending.append(value)
            elif isinstance(value, list):
                pending.extend(each for each in value if isinstance(each, ast.AST))


def _root(node: ast.expr) -> str | None:
    """The name that an object is reached from; None for what a call has just made."""
    while isinstance(node, ast.Attribute | ast.Subscript | ast.Starred):
        node = node.value
    return node.id if isinstance(node, ast.Name) else None
