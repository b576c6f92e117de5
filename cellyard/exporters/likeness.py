"""Likeness: whether two values are the same, told by what they are made of. Exact, but for floating-point numbers and
pictures, which may differ by a little."""

from __future__ import annotations

import enum
import math
import re
import types
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellyard.artifacts.kinds import package_of
from cellyard.artifacts.tensors import is_plain

__all__ = ["PICTURE_TOLERANCE", "TOLERANCE", "Likeness", "likeness"]

TOLERANCE = 1e-9
"""By how much floating-point numbers may differ, relative to the larger one: sums are added up in another order."""
PICTURE_TOLERANCE = 0.01
"""The part of a picture's points that may differ: letters are drawn with whatever font is there."""

_EXACT = (bool, int, str, bytes, bytearray, type(None), type(...), range)
_ADDRESS = re.compile(r"0x[0-9a-fA-F]+")
_DEEPEST = 400


@dataclass(frozen=True, slots=True)
class Likeness:
    """``kind``: equal, close (within tolerances; ``largest`` is the largest relative difference), or different, with
    the first place ``where`` they are."""

    kind: str
    where: str = ""
    largest: float = 0.0


class _Different(Exception):
    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where or 'the value'}: {why}")


def likeness(first: Any, second: Any, *, tolerance: float = TOLERANCE) -> Likeness:
    """How alike two values are. Names, classes and functions of ``__main__`` are compared by what they say."""
    comparison = _Comparison(tolerance)
    try:
        comparison.compare(first, second, "")
    except _Different as found:
        return Likeness("different", str(found))
    except RecursionError:
        return Likeness("different", "it is nested too deeply to be compared")
    return Likeness("close" if comparison.largest else "equal", largest=comparison.largest)


class _Comparison:
    def __init__(self, tolerance: float) -> None:
        self._tolerance = tolerance
        self._seen: set[tuple[int, int]] = set()
        self._kept: list[Any] = []
        self.largest = 0.0

    def compare(self, first: Any, second: Any, where: str) -> None:
        if first is second:
            return
        if _kind(first) != _kind(second):
            raise _Different(where, f"{_kind(first)} and {_kind(second)}")
        pair = (id(first), id(second))
        if pair in self._seen:
            return
        if len(where) > _DEEPEST * 20:
            raise RecursionError
        self._seen.add(pair)
        self._kept += (first, second)  # ids are unique only while the objects live
        self._content(first, second, where)

    def _content(self, first: Any, second: Any, where: str) -> None:
        root = package_of(type(first))
        if isinstance(first, _EXACT) and type(first) in _EXACT:
            self._same(first == second, first, second, where)
        elif isinstance(first, float | complex) and type(first) in (float, complex):
            self._number(first, second, where)
        elif isinstance(first, enum.Enum):
            self._same(first.name == second.name, first, second, where)
        elif isinstance(first, type):
            self._class(first, second, where)
        elif isinstance(first, types.FunctionType):
            self._function(first, second, where)
        elif isinstance(first, types.ModuleType):
            self._same(first.__name__ == second.__name__, first, second, where)
        elif type(first) in (list, tuple):
            self._sequence(first, second, where)
        elif type(first) is dict:
            self._mapping(first, second, where)
        elif isinstance(first, set | frozenset):
            self._sequence(sorted(first, key=_text), sorted(second, key=_text), where)
        elif root in _BY_LIBRARY:
            _BY_LIBRARY[root](self, first, second, where)
        else:
            self._object(first, second, where)

    def _same(self, is_same: bool, first: Any, second: Any, where: str) -> None:
        if not is_same:
            raise _Different(where, f"{_text(first)} and {_text(second)}")

    def _number(self, first: Any, second: Any, where: str) -> None:
        if first == second or (_is_nan(first) and _is_nan(second)):
            return
        size = max(abs(first), abs(second))
        # Put so that a number and none, of which nothing holds, differ.
        if not math.isfinite(size) or not abs(first - second) <= self._tolerance * size:
            raise _Different(where, f"{first!r} and {second!r}")
        self.largest = max(self.largest, abs(first - second) / size)

    def _sequence(self, first: Sequence[Any], second: Sequence[Any], where: str) -> None:
        if len(first) != len(second):
            raise _Different(where, f"{len(first):,} and {len(second):,} items")
        for number, (one, other) in enumerate(zip(first, second, strict=True)):
            self.compare(one, other, f"{where}[{number}]")

    def _mapping(self, first: Mapping[Any, Any], second: Mapping[Any, Any], where: str) -> None:
        ours, theirs = list(first), list(second)
        self._sequence(ours, theirs, f"{where} (keys)")
        for one, other in zip(ours, theirs, strict=True):
            self.compare(first[one], second[other], f"{where}[{_text(one)}]")

    def _class(self, first: type, second: type, where: str) -> None:
        self._same(
            (first.__module__, first.__qualname__) == (second.__module__, second.__qualname__), first, second, where
        )
        if first.__module__ == "__main__":
            own = [{name: each for name, each in vars(kind).items() if _is_own(name)} for kind in (first, second)]
            ours, theirs = (dict(sorted(each.items())) for each in own)
            self._mapping(ours, theirs, f"{where}.{first.__name__}")

    def _function(self, first: Any, second: Any, where: str) -> None:
        place = f"{where}.{first.__qualname__}"
        self._same(first.__qualname__ == second.__qualname__, first, second, where)
        self._code(first.__code__, second.__code__, place)
        for part in ("__defaults__", "__kwdefaults__"):
            self.compare(getattr(first, part), getattr(second, part), f"{place} ({part})")
        ours, theirs = ([_inside(cell) for cell in function.__closure__ or ()] for function in (first, second))
        self._sequence(ours, theirs, f"{place} (closure)")

    def _code(self, first: types.CodeType, second: types.CodeType, where: str) -> None:
        self._same(
            (first.co_code, first.co_names, first.co_varnames) == (second.co_code, second.co_names, second.co_varnames),
            first.co_name,
            second.co_name,
            where,
        )
        for one, other in zip(first.co_consts, second.co_consts, strict=True):
            if isinstance(one, types.CodeType) and isinstance(other, types.CodeType):
                self._code(one, other, where)
            else:
                self.compare(one, other, where)

    def _numpy(self, first: Any, second: Any, where: str) -> None:
        import numpy as np

        if not isinstance(first, np.ndarray | np.generic):
            self._object(first, second, where)
            return
        if first.dtype != second.dtype or first.shape != second.shape:
            raise _Different(where, f"{first.dtype} {first.shape} and {second.dtype} {second.shape}")
        if first.dtype.hasobject:
            self._sequence(np.ravel(first).tolist(), np.ravel(second).tolist(), where)
        elif first.dtype.kind in "fc":
            self._floats(np.asarray(first), np.asarray(second), where, float(np.finfo(first.dtype).eps))
        elif first.tobytes() != second.tobytes():
            raise _Different(where, f"{int((np.asarray(first) != np.asarray(second)).sum()):,} elements differ")

    def _torch(self, first: Any, second: Any, where: str) -> None:
        import torch

        if not isinstance(first, torch.Tensor) or not is_plain(first) or not is_plain(second):
            self._object(first, second, where)
            return
        ours, theirs = ((each.dtype, tuple(each.shape), each.requires_grad) for each in (first, second))
        if ours != theirs:
            raise _Different(where, f"{first.dtype} {ours[1:]} and {second.dtype} {theirs[1:]}")
        self.compare(vars(first), vars(second), f"{where} (attributes)")
        if first.is_leaf and second.is_leaf:
            self.compare(first.grad, second.grad, f"{where}.grad")
        if first.dtype.is_floating_point or first.dtype.is_complex:
            wide = torch.complex128 if first.dtype.is_complex else torch.float64
            one, other = (each.detach().to(wide).resolve_conj().resolve_neg().numpy() for each in (first, second))
            self._floats(one, other, where, float(torch.finfo(first.dtype).eps))
        elif not torch.equal(first, second):
            raise _Different(where, f"{int((first != second).sum()):,} elements differ")

    def _floats(self, first: Any, second: Any, where: str, precision: float) -> None:
        import numpy as np

        with np.errstate(all="ignore"):
            apart = (first != second) & ~(np.isnan(first) & np.isnan(second))
            if not apart.any():
                return
            one, other = first[apart], second[apart]
            ratio = np.abs(one - other) / np.maximum(np.abs(one), np.abs(other))
        # Of single precision no more can be asked than it has.
        allowed = max(self._tolerance, 8 * precision)
        if not np.all(np.isfinite(ratio)) or float(ratio.max()) > allowed:
            raise _Different(
                where, f"{int(apart.sum()):,} of {first.size:,} numbers differ, by up to {ratio.max():.3g}"
            )
        self.largest = max(self.largest, float(ratio.max()))

    def _pandas(self, first: Any, second: Any, where: str) -> None:
        import pandas as pd

        if isinstance(first, pd.DataFrame):
            self.compare(first.columns, second.columns, f"{where} (columns)")
            self.compare(first.index, second.index, f"{where} (index)")
            for number, name in enumerate(first.columns):
                self._column(first.iloc[:, number], second.iloc[:, number], f"{where}[{name!r}]")
        elif isinstance(first, pd.Series):
            self.compare(first.name, second.name, f"{where} (name)")
            self.compare(first.index, second.index, f"{where} (index)")
            self._column(first, second, where)
        elif isinstance(first, pd.Index):
            self.compare(list(first.names), list(second.names), f"{where} (names)")
            self._column(first, second, where)
        else:
            self._object(first, second, where)

    def _column(self, first: Any, second: Any, where: str) -> None:
        if str(first.dtype) != str(second.dtype) or len(first) != len(second):
            raise _Different(where, f"{len(first):,} {first.dtype} and {len(second):,} {second.dtype}")
        if getattr(first.dtype, "kind", "") == "f" and hasattr(first.dtype, "itemsize"):
            self.compare(first.to_numpy(float), second.to_numpy(float), where)
        elif not first.equals(second):
            self._sequence(first.tolist(), second.tolist(), where)

    def _matplotlib(self, first: Any, second: Any, where: str) -> None:
        """A figure is what it shows; parts of one are not looked at by themselves."""
        from matplotlib.figure import Figure

        if isinstance(first, Figure):
            self._pictures(first, second, where)

    def _pictures(self, first: Any, second: Any, where: str) -> None:
        import numpy as np
        from matplotlib.backends.backend_agg import FigureCanvasAgg

        drawn = []
        for figure in (first, second):
            canvas: Any = FigureCanvasAgg(figure)
            canvas.draw()
            drawn.append(np.asarray(canvas.buffer_rgba()).astype(int))
        if drawn[0].shape != drawn[1].shape:
            raise _Different(where, f"pictures of {drawn[0].shape[:2]} and {drawn[1].shape[:2]} points")
        apart = float((np.abs(drawn[0] - drawn[1]).max(axis=2) > 32).mean())
        if apart > PICTURE_TOLERANCE:
            raise _Different(where, f"the pictures differ in {apart:.1%} of their points")
        self.largest = max(self.largest, apart)

    def _frames(self, first: Any, second: Any, where: str) -> None:
        """Of libraries whose values can tell by themselves whether they are equal."""
        if hasattr(first, "equals"):
            self._same(bool(first.equals(second)), first, second, where)
        else:
            self._object(first, second, where)

    def _object(self, first: Any, second: Any, where: str) -> None:
        """By what pickle would keep of it."""
        try:
            one, other = first.__reduce_ex__(4), second.__reduce_ex__(4)
        except Exception:  # noqa: BLE001 - a class of anybody's; what it shows is left
            self._same(_text(first) == _text(second), first, second, where)
            return
        ours, theirs = (each if isinstance(each, str) else _parts(each) for each in (one, other))
        self.compare(ours, theirs, where)


def _parts(reduced: tuple[Any, ...]) -> list[Any]:
    items = [list(each) if each is not None else None for each in (*reduced[3:5], None, None)[:2]]
    return [list(reduced[1]), reduced[2] if len(reduced) > 2 else None, *items]


def _kind(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


def _is_own(name: str) -> bool:
    """Part of a class as it was written."""
    return not name.startswith("__") or name in ("__init__", "__call__", "__eq__", "__post_init__", "__slots__")


def _inside(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:
        return None


def _is_nan(value: Any) -> bool:
    return bool(value != value)  # noqa: PLR0124 - which is how it can be told of complex numbers, too


def _text(value: Any) -> str:
    try:
        text = _ADDRESS.sub("0x", repr(value))
    except Exception as error:  # noqa: BLE001 - a class of anybody's
        return f"({type(error).__name__} when it is shown)"
    return text if len(text) <= 80 else f"{text[:77]}..."


_BY_LIBRARY = {
    "numpy": _Comparison._numpy,
    "pandas": _Comparison._pandas,
    "matplotlib": _Comparison._matplotlib,
    "polars": _Comparison._frames,
    "pyarrow": _Comparison._frames,
    "torch": _Comparison._torch,
}
