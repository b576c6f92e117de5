"""Short descriptions of values, made where the value is, so that nobody need fetch it to see what it is."""

from __future__ import annotations

import reprlib
import signal
import threading
import types
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from cellyard.artifacts.kinds import package_of
from cellyard.artifacts.reference import Preview

__all__ = ["preview_of", "size_in_words"]

TEXT_CHARACTERS = 1_500
HTML_CHARACTERS = 20_000
ROWS, COLUMNS = 5, 12
SCHEMA = 100
_PATIENCE = 1.0
"""Seconds that the repr of a value of unknown type may take."""
_ASKED_FOR = (
    "__call__", "__iter__", "__next__", "__aiter__", "__anext__", "__await__", "__length_hint__", "__fspath__",
    "__get__", "__set__", "__delete__", "__set_name__",
)  # fmt: skip


_TIMER = signal.ITIMER_REAL


class _Short(reprlib.Repr):
    """Shortened texts, in which no process's environment appears: it may hold secrets."""

    def repr__Environ(self, value: Any, level: int) -> str:  # noqa: N802 - reprlib asks by the type's name
        return "environ({...})"


_SHORT = _Short()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxset = _SHORT.maxdict = 4
_SHORT.maxstring = _SHORT.maxother = 200
_SHORT.maxlevel = 3


def size_in_words(count: float) -> str:
    """Bytes as a person says them: ``1.5 MiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if count < 1024 or unit == "GiB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    raise AssertionError("unreachable")


def preview_of(value: Any) -> Preview:
    """The preview of any value. A value whose own repr fails, or takes long, is described by its type alone."""
    try:
        made = _RULES.get(_root_type(value), _of_anything)(value)
    except _TooSlow:
        made = Preview(_type_name(value), text="(its repr takes long)")
    except Exception as error:  # noqa: BLE001 - a user's __repr__ may raise anything, and a preview is never vital
        made = Preview(_type_name(value), text=f"(its repr raised {type(error).__name__})")
    return replace(made, methods=_methods_of(type(value)))


def _methods_of(kind: type) -> tuple[str, ...]:
    """What instances have; ``hasattr`` would also find what the class itself has from its metaclass."""
    found = {name for each in kind.__mro__ for name, value in vars(each).items() if value is not None}
    return tuple(name for name in _ASKED_FOR if name in found)


def _root_type(value: Any) -> str:
    kind = type(value)
    return f"{package_of(kind)}.{kind.__name__}"


def _type_name(value: Any) -> str:
    kind = type(value)
    return (
        kind.__qualname__ if kind.__module__ in {"builtins", "__main__"} else f"{kind.__module__}.{kind.__qualname__}"
    )


def _of_frame(value: Any) -> Preview:
    head = value.iloc[:ROWS, :COLUMNS]
    shape = f"{value.shape[0]:,} rows × {value.shape[1]:,} columns"
    columns = zip(value.columns[:SCHEMA], value.dtypes.iloc[:SCHEMA], strict=True)
    schema = tuple(f"{name}: {kind}" for name, kind in columns)
    return Preview("pandas.DataFrame", shape, _cut(head.to_string()), _bounded(head._repr_html_() or ""), (), schema)


def _of_series(value: Any) -> Preview:
    return Preview("pandas.Series", f"{len(value):,} × {value.dtype}", _cut(value.iloc[:ROWS].to_string()))


def _of_array(value: Any) -> Preview:
    shape = f"{' × '.join(f'{n:,}' for n in value.shape) or 'scalar'} {value.dtype}"
    if value.size <= 1000:
        return Preview("numpy.ndarray", shape, _cut(repr(value)))
    edge = tuple(slice(0, 3) for _ in value.shape)
    return Preview("numpy.ndarray", shape, _cut(repr(value[edge])[:-1] + ", …)"))


def _of_tensor(value: Any) -> Preview:
    shape = f"{' × '.join(f'{n:,}' for n in value.shape) or 'scalar'} {value.dtype}, {size_in_words(value.nbytes)}"
    return Preview(_type_name(value), shape, _cut(repr(value.detach())))


def _of_polars(value: Any) -> Preview:
    shape = f"{value.height:,} rows × {value.width:,} columns"
    schema = tuple(f"{name}: {kind}" for name, kind in list(value.schema.items())[:SCHEMA])
    return Preview("polars.DataFrame", shape, _cut(str(value.head(ROWS))), schema=schema)


def _of_container(value: Any) -> Preview:
    return Preview(type(value).__name__, f"{len(value):,} items", _cut(_SHORT.repr(value)))


def _of_text(value: Any) -> Preview:
    return Preview(type(value).__name__, f"{len(value):,} long", _cut(_SHORT.repr(value[:2000])))


def _of_module(value: types.ModuleType) -> Preview:
    return Preview("module", text=value.__name__)


def _of_environment(value: Any) -> Preview:
    return Preview("os._Environ", f"{len(value)} variables", "of each process its own; never shown, never stored")


def _of_anything(value: Any) -> Preview:
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _in_time(_of_container, value)
    return _in_time(lambda each: Preview(_type_name(each), text=_cut(repr(each))), value)


class _TooSlow(BaseException):
    """Not an Exception, which a user's __repr__ may catch."""


def _in_time(make: Callable[[Any], Preview], value: Any) -> Preview:
    """What is made, or _TooSlow. As long as it takes where this process has another use for the alarm, and outside of
    the main thread, which alone can be stopped."""
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or signal.getsignal(signal.SIGALRM) is not signal.SIG_DFL or any(signal.getitimer(_TIMER)):
        return make(value)
    signal.signal(signal.SIGALRM, _strike)
    try:
        signal.setitimer(_TIMER, _PATIENCE)
        return make(value)
    finally:
        signal.setitimer(_TIMER, 0)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)


def _strike(*_: object) -> None:
    raise _TooSlow


_RULES: dict[str, Callable[[Any], Preview]] = {
    "os._Environ": _of_environment,
    "pandas.DataFrame": _of_frame,
    "pandas.Series": _of_series,
    "numpy.ndarray": _of_array,
    "polars.DataFrame": _of_polars,
    "torch.Tensor": _of_tensor,
    "torch.Parameter": _of_tensor,
    "builtins.str": _of_text,
    "builtins.bytes": _of_text,
    "builtins.bytearray": _of_text,
    "builtins.module": _of_module,
}


def _cut(text: str) -> str:
    return text if len(text) <= TEXT_CHARACTERS else text[:TEXT_CHARACTERS] + " …"


def _bounded(html: str) -> str:
    return html if len(html) <= HTML_CHARACTERS else ""
