"""The listed process state that travels with a step: captured in one process, applied in the other.

Working directory, environment, ``sys.path``, random states of ``random``, numpy and torch, warning filters, decimal
context, logging, the recursion limit and others of the standard library, the options of numpy, pandas, matplotlib,
scikit-learn, plotly and torch, and the settings and magics of IPython's shell. A section of a library that is not
imported yet is applied when it is. Sections are values that pickle; the environment may hold secrets, so no section is
ever recorded.
"""

from __future__ import annotations

import builtins
import contextlib
import decimal
import functools
import os
import random
import socket
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import wrapt

from cellyard.artifacts.patches import own_secrets, put_secrets
from cellyard.worker import library_state, matplotlib_state, standard_state
from cellyard.worker.callbacks import Callback, pickles, travelling
from cellyard.worker.logging_state import capture_logging, set_logging
from cellyard.worker.magics_state import capture_magics, set_magics
from cellyard.worker.printers_state import capture_printers, set_printers
from cellyard.worker.shell_state import capture_figures, capture_shell, set_figures, set_shell

__all__ = ["RANDOM", "Watcher", "apply", "capture", "mark_ids", "portable", "same"]

RANDOM = ("random", "numpy_random", "torch_random")
"""The sections that tell what is drawn next."""

State = dict[str, Any]


class _Section(NamedTuple):
    module: str | None
    capture: Callable[[], Any]
    apply: Callable[[Any], None]


def capture(sections: Iterable[str] | None = None) -> State:
    """Every section whose library is imported here, and those that wait for theirs."""
    wanted = _SECTIONS if sections is None else {name: _SECTIONS[name] for name in sections}
    found = {name: s.capture() for name, s in wanted.items() if s.module is None or s.module in sys.modules}
    return {**{name: value for name, value in _LATER.items() if name in wanted}, **found} if _LATER else found


#: What is applied when its library is imported: the state is the notebook's even where nobody has needed it yet.
_LATER: State = {}


def apply(state: Mapping[str, Any]) -> None:
    """Apply sections to this process; those of libraries not imported yet are applied when they are."""
    for name, value in state.items():
        module = _SECTIONS[name].module
        if module is None or module in sys.modules:
            _apply_section(name, value)
            continue
        if name not in _LATER:
            _when_imported(module, functools.partial(_apply_later, name))
        _LATER[name] = value


def _apply_later(name: str) -> None:
    _apply_section(name, _LATER.pop(name))


def _apply_section(name: str, value: Any) -> None:
    _SECTIONS[name].apply(value)


def _when_imported(module: str | None, call: Callable[[], None]) -> None:
    if module is None or module in sys.modules:
        call()
    else:
        wrapt.register_post_import_hook(lambda _: call(), module)


def mark_ids(mark: str) -> None:
    """What this process shows has no id in common with what others show in the same notebook."""
    _when_imported("sklearn.base", lambda: library_state.mark_sklearn_ids(mark))


def portable(state: Mapping[str, Any]) -> State:
    """The sections that pickle; the others stay behind."""
    return {name: value for name, value in state.items() if pickles(value)}


#: Sections that may read differently after they were applied; of the others, what was applied is what is there.
_INEXACT = {"folder", "numpy_print", "pandas", "matplotlib", "shell", "magics", "figures"}


class Watcher:
    """Applies a state to this process, and later tells which sections differ from what was applied."""

    def __init__(self) -> None:
        self._before: State = {}

    def apply(self, state: Mapping[str, Any]) -> None:
        """Apply every section, those of libraries not imported yet when they are."""
        for name, section in _SECTIONS.items():
            if name in state:
                self._before[name] = state[name]
                _when_imported(section.module, functools.partial(self._apply_section, name, state[name]))
            elif section.module is not None:
                _when_imported(section.module, functools.partial(self._note, name))

    def take(self, state: Mapping[str, Any]) -> None:
        """Apply these sections, which every process has, and nothing is said of the others."""
        for name, value in state.items():
            self._before[name] = value
            self._apply_section(name, value)

    def _apply_section(self, name: str, value: Any) -> None:
        _apply_section(name, value)
        if name in _INEXACT:
            self._note(name)

    def _note(self, name: str) -> None:
        self._before[name] = _SECTIONS[name].capture()

    def changes(self) -> State:
        """The sections that this process has changed since :meth:`apply`."""
        now = capture()
        return {name: value for name, value in now.items() if not same(value, self._before.get(name))}


def same(one: Any, other: Any) -> bool:
    """Whether a section is as it was."""
    try:
        return bool(one == other)
    except ValueError:  # arrays compare element by element
        return repr(one) == repr(other)


def _environment() -> dict[str, str]:
    return {key: value for key, value in os.environ.items() if key not in _OWN_VARIABLES}


#: Set for each step by its size; not the notebook's.
_OWN_VARIABLES = {
    "OPENBLAS_NUM_THREADS",
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "POLARS_MAX_THREADS",
    "LOKY_MAX_CPU_COUNT",
    "JE_ARROW_MALLOC_CONF",
    "MPLBACKEND",
    "CUDA_VISIBLE_DEVICES",
}


def _set_environment(value: Mapping[str, str]) -> None:
    current = _environment()
    for key in current.keys() - value.keys():
        del os.environ[key]
    for key, text in value.items():
        if key not in _OWN_VARIABLES and current.get(key) != text:
            os.environ[key] = text


def _set_time_zone(value: tuple[Any, ...]) -> None:
    """As the environment says, where the clock of the other process does."""
    if (time.tzname, time.timezone) != tuple(value):
        time.tzset()


def _change_folder(value: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.chdir(value)


def _current_folder() -> str:
    try:
        return os.getcwd()  # noqa: PTH109 - a Path would cost more than the call
    except FileNotFoundError:
        return "/"


def _set_path(value: list[str]) -> None:
    sys.path[:] = value


def _set_arguments(value: list[str]) -> None:
    sys.argv = list(value)


#: Filters whose category belongs to a library that is not imported yet.
_WAITING: list[tuple[Any, ...]] = []


def _filters() -> list[tuple[Any, ...]]:
    """With categories by name, so that reading them imports nothing."""
    filters: Iterable[Any] = warnings.filters
    here = [(*f[:2], f"{f[2].__module__}:{f[2].__qualname__}", *f[3:]) for f in filters]
    return here + [each for each in _WAITING if each not in here]


def _set_filters(value: list[tuple[Any, ...]]) -> None:
    found: list[Any] = []
    _WAITING.clear()
    for each in value:
        category = _category(each[2])
        if category is not None:
            found.append((*each[:2], category, *each[3:]))
        else:
            _WAITING.append(each)
            _add_when_imported(each[2].partition(":")[0])
    warnings.filters[:] = found  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _category(name: str) -> Any:
    module, _, qualname = name.partition(":")
    found: Any = sys.modules.get(module)
    for part in qualname.split("."):
        found = getattr(found, part, None)
    return found


def _add_when_imported(module: str) -> None:
    def add(_: Any) -> None:
        for each in [each for each in _WAITING if each[2].startswith(f"{module}:")]:
            _WAITING.remove(each)
            ready = (*each[:2], _category(each[2]), *each[3:])
            if ready[2] is not None and ready not in warnings.filters:
                warnings.filters.insert(0, ready)  # type: ignore[attr-defined]
        warnings._filters_mutated()  # type: ignore[attr-defined]

    if module not in sys.modules:
        wrapt.register_post_import_hook(add, module)


def _decimal() -> dict[str, Any]:
    context = decimal.getcontext()
    settings = {name: getattr(context, name) for name in _OF_DECIMAL}
    return settings | {"traps": _raised(context.traps), "flags": _raised(context.flags)}


_OF_DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def _raised(signals: Mapping[Any, bool]) -> list[Any]:
    return [signal for signal, is_on in signals.items() if is_on]


def _set_decimal(value: Mapping[str, Any]) -> None:
    context = decimal.getcontext()
    for name in _OF_DECIMAL:
        setattr(context, name, value[name])
    for signals, raised in ((context.traps, value["traps"]), (context.flags, value["flags"])):
        for signal in signals:
            signals[signal] = signal in raised


def _numpy_random() -> tuple[Any, ...]:
    kind, keys, *rest = sys.modules["numpy.random"].get_state()
    return (kind, keys.tobytes(), *rest)


def _set_numpy_random(value: tuple[Any, ...]) -> None:
    kind, keys, *rest = value
    dtype = sys.modules["numpy"].uint32
    # Not numpy.random: while numpy.random itself is being imported, numpy does not have it yet.
    sys.modules["numpy.random"].set_state((kind, sys.modules["numpy"].frombuffer(keys, dtype=dtype), *rest))


def _numpy_print() -> dict[str, Any]:
    import numpy

    found: dict[str, Any] = {key: value for key, value in numpy.get_printoptions().items() if key != "override_repr"}
    if given := found.get("formatter"):
        own = {kind: travelling(function) for kind, function in given.items()}
        found["formatter"] = {kind: callback for kind, callback in own.items() if callback is not None}
    return found


def _set_numpy_print(value: Mapping[str, Any]) -> None:
    import numpy

    given = {kind: callback.function() for kind, callback in (value.get("formatter") or {}).items()}
    numpy.set_printoptions(**{**value, "formatter": given or None})


def _numpy_errors() -> dict[str, str]:
    found: dict[str, str] = sys.modules["numpy"].geterr()
    return found


def _set_numpy_errors(value: Mapping[str, str]) -> None:
    import numpy

    numpy.seterr(**value)  # type: ignore[arg-type]


def _pandas_options() -> dict[str, Any]:
    """Options that differ from their defaults."""
    import pandas._config.config

    config: Any = pandas._config.config
    registered = config._registered_options
    found: dict[str, Any] = {}
    for key, option in registered.items():
        root, leaf = config._get_root(key)
        if (value := root[leaf]) is not option.defval and value != option.defval:
            found[key] = Callback(value) if callable(value) else value
    return found


def _set_pandas_options(value: Mapping[str, Any]) -> None:
    import pandas

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an option may be deprecated, and the user has been told where it was set
        for key in _pandas_options().keys() - value.keys():
            pandas.reset_option(key)
        for key, setting in value.items():
            pandas.set_option(key, setting.function() if isinstance(setting, Callback) else setting)


def _underscore() -> dict[str, Any]:
    """Where something has set it (doctest, gettext), IPython leaves the name to that."""
    return {"value": vars(builtins)["_"]} if "_" in vars(builtins) else {}


def _set_underscore(value: Mapping[str, Any]) -> None:
    if value:
        vars(builtins)["_"] = value["value"]
    else:
        vars(builtins).pop("_", None)


_SECTIONS: dict[str, _Section] = {
    "folder": _Section(None, _current_folder, _change_folder),
    "environment": _Section(None, _environment, _set_environment),
    "time_zone": _Section(None, lambda: (time.tzname, time.timezone), _set_time_zone),
    "path": _Section(None, lambda: list(sys.path), _set_path),
    "arguments": _Section(None, lambda: list(sys.argv), _set_arguments),
    "secrets": _Section(None, own_secrets, put_secrets),
    "random": _Section(None, random.getstate, random.setstate),
    "warnings": _Section(None, _filters, _set_filters),
    "decimal": _Section(None, _decimal, _set_decimal),
    "logging": _Section(None, capture_logging, set_logging),
    "numpy_random": _Section("numpy.random", _numpy_random, _set_numpy_random),
    "numpy_print": _Section("numpy", _numpy_print, _set_numpy_print),
    "pandas": _Section("pandas", _pandas_options, _set_pandas_options),
    "matplotlib": _Section("matplotlib", matplotlib_state.rc_params, matplotlib_state.set_rc_params),
    "colormaps": _Section("matplotlib.cm", matplotlib_state.colormaps, matplotlib_state.set_colormaps),
    "fonts": _Section("matplotlib.font_manager", matplotlib_state.fonts, matplotlib_state.set_fonts),
    "shell": _Section(None, capture_shell, set_shell),
    "magics": _Section(None, capture_magics, set_magics),
    "figures": _Section(None, capture_figures, set_figures),
    "printers": _Section("IPython", capture_printers, set_printers),
    "rich": _Section(None, library_state.rich_pretty, library_state.set_rich_pretty),
    "underscore": _Section(None, _underscore, _set_underscore),
    "recursion": _Section(None, sys.getrecursionlimit, sys.setrecursionlimit),
    "digits": _Section(None, sys.get_int_max_str_digits, sys.set_int_max_str_digits),
    "csv": _Section("csv", standard_state.csv, standard_state.set_csv),
    "locale": _Section("locale", standard_state.locale, standard_state.set_locale),
    "sockets": _Section("socket", socket.getdefaulttimeout, socket.setdefaulttimeout),
    "start_method": _Section("multiprocessing", standard_state.start_method, standard_state.set_start_method),
    "numpy_errors": _Section("numpy", _numpy_errors, _set_numpy_errors),
    "sklearn": _Section("sklearn", library_state.sklearn, library_state.set_sklearn),
    "sklearn_experiments": _Section(
        "sklearn", library_state.sklearn_experiments, library_state.set_sklearn_experiments
    ),
    "plotly_templates": _Section("plotly.io", library_state.plotly_templates, library_state.set_plotly_templates),
    "plotly_template": _Section("plotly.io", library_state.plotly_template, library_state.set_plotly_template),
    "plotly_renderer": _Section(
        "plotly.io._renderers", library_state.plotly_renderer, library_state.set_plotly_renderer
    ),
    "sympy": _Section("sympy.printing.printer", library_state.sympy, library_state.set_sympy),
    "torch": _Section("torch", library_state.torch, library_state.set_torch),
    "torch_random": _Section("torch", library_state.torch_random, library_state.set_torch_random),
}
