"""What is known of builtins: which calls change nothing, and what their results share with their arguments.

Tables only. A builtin that is in none of them is taken as a call that may change its arguments.
"""

from __future__ import annotations

import builtins

__all__ = [
    "BUILTINS",
    "CALLBACKS",
    "DYNAMIC",
    "ELEMENTS",
    "FORMULAS",
    "HOLDERS",
    "METHODS_FRESH",
    "METHODS_SHARING",
    "RUNNERS",
    "SCALARS",
    "STEADY_CONTEXTS",
    "words",
]


def words(text: str) -> frozenset[str]:
    """A table written as text."""
    return frozenset(text.split())


BUILTINS: frozenset[str] = frozenset(dir(builtins)) | words(
    """
    display exit get_ipython quit
    __annotations__ __builtins__ __class__ __conditional_annotations__ __module__ __qualname__
    """
)
"""Names that are there without being bound: Python's own, and those that IPython puts in place."""

_EXCEPTIONS = frozenset(
    name for name, value in vars(builtins).items() if isinstance(value, type) and issubclass(value, BaseException)
)

SCALARS: frozenset[str] = words(
    """
    all any ascii bin bool bytes callable chr complex dir display float format hasattr hash help hex id
    input int isinstance issubclass len object oct open ord print range repr str super type
    """
)
"""Calls whose result shares nothing with their arguments."""

HOLDERS: frozenset[str] = (
    words(
        """
        abs bytearray classmethod dict divmod enumerate filter frozenset list map pow property reversed
        round set slice sorted staticmethod tuple zip
        """
    )
    | _EXCEPTIONS
)
"""Calls whose result is new, and holds its arguments or what is in them."""

ELEMENTS: frozenset[str] = frozenset({"getattr", "iter", "max", "memoryview", "min", "sum"})
"""Calls whose result may be reached from an argument, or be one."""

CALLBACKS: frozenset[str] = frozenset({"filter", "map", "max", "min", "sorted"})
"""Calls that give elements of their arguments to a function."""

DYNAMIC: frozenset[str] = frozenset({"eval", "exec", "globals", "locals", "breakpoint", "get_ipython"})
"""Names whose very use may read or bind any name."""

RUNNERS: frozenset[str] = frozenset({"cProfile", "doctest", "profile", "timeit", "unittest"})
"""Modules whose functions run programs that are text, or what they find in the notebook."""

METHODS_FRESH: frozenset[str] = words(
    """
    all any argmax argmin argsort bit_length capitalize casefold center copy count cumprod cumsum
    difference dot encode endswith expandtabs format format_map hex index intersection isalnum isalpha
    isdecimal isdigit isdisjoint isidentifier islower isnumeric isspace issubset issuperset istitle
    isupper join ljust lower lstrip mean nonzero prod removeprefix removesuffix rfind rindex
    rjust rpartition rsplit rstrip split splitlines startswith std strip sum swapcase
    symmetric_difference title tobytes tolist union upper var zfill
    """
)
"""Methods that change no builtin or numpy value; the result at most holds the receiver's elements."""

METHODS_SHARING: frozenset[str] = words(
    """
    astype clip conj diagonal get item items keys max min ravel repeat reshape squeeze swapaxes take
    transpose values view
    """
)
"""Methods that change no builtin or numpy value; the result may be the receiver or a part of it."""

FORMULAS: frozenset[str] = words(
    """
    dmatrices dmatrix eval from_formula glm gls logit mixedlm ols poisson probit query sql wls
    """
)
"""Methods and functions that look up names of their text in the caller's variables (pandas, duckdb,
patsy)."""

STEADY_CONTEXTS: frozenset[str] = words(
    """
    bz2.open concurrent.futures.ProcessPoolExecutor concurrent.futures.ThreadPoolExecutor
    contextlib.chdir contextlib.closing contextlib.nullcontext contextlib.redirect_stderr
    contextlib.redirect_stdout decimal.localcontext gzip.open h5py.File lzma.open matplotlib.rc_context
    mpl.rc_context multiprocessing.Pool np.errstate np.printoptions numpy.errstate numpy.printoptions
    open pandas.option_context pd.ExcelWriter pd.HDFStore pd.option_context plt.rc_context
    plt.style.context sns.axes_style sns.plotting_context tarfile.open tempfile.NamedTemporaryFile
    tempfile.TemporaryDirectory tempfile.TemporaryFile threading.Lock torch.inference_mode torch.no_grad
    warnings.catch_warnings zipfile.ZipFile
    """
)
"""Context managers known not to swallow exceptions: what their body binds is bound afterwards."""
