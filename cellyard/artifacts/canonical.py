"""A digest of what a value is, not of how it was pickled: equal for values made again alike in any process.

A pickle's bytes change with the hash seed (the order of sets), with which equal strings are one object, and with the
place of an array in memory. Here sets are sorted; arrays, frames and Arrow go by their content, functions and classes
of the notebook by their code and what they hold. Two values of one digest are alike; two alike may have different ones.
"""

from __future__ import annotations

import copyreg
import functools
import sys
import types
from collections.abc import Callable, Iterable
from typing import Any

from blake3 import blake3

from cellyard.artifacts.definitions import fingerprint, is_definition
from cellyard.artifacts.holding import held_by
from cellyard.artifacts.kinds import package_of
from cellyard.artifacts.process_objects import may_be_of_process, place_here
from cellyard.artifacts.tensors import content_of, is_plain, is_tensor

__all__ = ["LARGEST_DIGESTED", "canonical_digest"]

_ATOMS = (type(None), bool, int, float, complex, str, bytes, range, type(Ellipsis), type(NotImplemented))
#: What is larger, in bytes, is known by its stored bytes alone.
LARGEST_DIGESTED = 256 << 20
_DEEPEST = 200


class _NoDigestError(Exception):
    """A part of the value is known by its identity alone."""


def canonical_digest(value: Any) -> str | None:
    """64 hex digits; None for a value that has no such digest."""
    writer = _Writer(blake3())
    try:
        writer.write(value)
    except Exception:  # noqa: BLE001 - an object may refuse in any way to say what it is made of
        return None
    return writer.hexdigest()


class _Writer:
    def __init__(self, hasher: Any, depth: int = 0) -> None:
        self._hasher = hasher
        self._seen: dict[int, int] = {}
        self._kept: list[Any] = []  # ids stay unique only while the objects live
        self._depth = depth

    def hexdigest(self) -> str:
        return str(self._hasher.hexdigest())

    def _tag(self, *parts: Any) -> None:
        """Parts that are texts or numbers; their lengths keep them apart."""
        for part in parts:
            data = str(part).encode("utf-8", "surrogatepass")
            self._hasher.update(len(data).to_bytes(8, "big"))
            self._hasher.update(data)

    def write(self, value: Any) -> None:
        kind = type(value)
        if kind in _ATOMS:
            self._tag(kind.__name__, repr(value))
            return
        if self._depth > _DEEPEST:
            raise _NoDigestError
        self._depth += 1
        try:
            self._write_object(value, kind)
        finally:
            self._depth -= 1

    def _write_object(self, value: Any, kind: type) -> None:
        if kind in {tuple, frozenset}:  # which of two equal ones it is, nobody can see
            _RULES[kind](self, value)
            return
        if id(value) in self._seen:
            self._tag("again", self._seen[id(value)])
            return
        self._seen[id(value)] = len(self._seen)
        self._kept.append(value)
        rule = _RULES.get(kind) or _of_library(kind)
        if rule is not None:
            rule(self, value)
        elif isinstance(value, type):
            self._class(value)
        else:
            self._reduced(value)

    def _all(self, tag: str, values: Iterable[Any], size: int) -> None:
        self._tag(tag, size)
        for each in values:
            self.write(each)

    def _dict(self, value: dict[Any, Any]) -> None:
        self._all("dict", (part for item in value.items() for part in item), len(value))

    def _set(self, value: Any) -> None:
        self._tag(type(value).__name__, len(value), *sorted(map(self._apart, value)))

    def _apart(self, value: Any) -> str:
        inner = _Writer(blake3(), self._depth)
        inner.write(value)
        return inner.hexdigest()

    def _function(self, value: types.FunctionType) -> None:
        if value.__module__ != "__main__":
            self._by_name(value)
            return
        self._tag("function", value.__qualname__, fingerprint(value))
        self.write([cell.cell_contents for cell in value.__closure__ or ()])
        self.write((value.__defaults__, value.__kwdefaults__, value.__dict__))

    def _class(self, value: type) -> None:
        if not is_definition(value):
            self._by_name(value)
            return
        self._tag("class", value.__qualname__, fingerprint(value))
        self.write(dict(sorted(held_by(value).items())))

    def _by_name(self, value: Any) -> None:
        self._tag("name", value.__module__, value.__qualname__)
        if "<" in value.__qualname__:
            raise _NoDigestError

    def _memoised(self, value: Any) -> None:
        """By what it computes: what it remembers is that again."""
        if value.__module__ != "__main__":
            self._by_name(value)
        else:
            self.write((value.__wrapped__, value.cache_parameters()))

    def _reduced(self, value: Any) -> None:
        """By what a pickle would be made of."""
        if may_be_of_process(type(value)) and (place := place_here(value)) is not None:
            self._tag("here", place)
            return
        special = copyreg.dispatch_table.get(type(value))
        reduced = special(value) if special is not None else value.__reduce_ex__(4)
        if isinstance(reduced, str):
            home = getattr(value, "__module__", None) or type(value).__module__
            if home == "__main__":
                raise _NoDigestError
            self._tag("global", home, reduced)
            return
        parts: list[Any] = [*reduced, None, None, None]
        make, arguments, state, items, pairs = parts[:5]
        self._tag("made", type(value).__module__, type(value).__qualname__)
        self.write((make, arguments, _in_order(state, type(value))))
        self.write((None if items is None else list(items), None if pairs is None else list(pairs)))

    def _array(self, value: Any) -> None:
        kind = value.dtype
        self._tag("array", kind.descr if kind.fields else kind.str, value.shape, value.flags.writeable)
        if kind.hasobject or kind.kind == "T":
            self._all("objects", value.ravel().tolist(), value.size)
        else:
            self._hasher.update(_plain_bytes(value))

    def _frame(self, value: Any) -> None:
        """Column by column: in which blocks they are is a matter of how it was made."""
        self._tag("frame")
        self.write((value.index, value.columns, value.attrs))
        self._all("columns", (value.iloc[:, at].array for at in range(len(value.columns))), len(value.columns))

    def _series(self, value: Any) -> None:
        self._tag("series")
        self.write((value.name, value.index, value.attrs, value.array))

    def _arrow(self, value: Any) -> None:
        """Without its chunks and offsets."""
        arrow = sys.modules["pyarrow"]
        if isinstance(value, arrow.RecordBatch):
            value = arrow.Table.from_batches([value])
        columns = value.columns if isinstance(value, arrow.Table) else [value]
        self._tag("arrow", type(value).__qualname__, getattr(value, "schema", ""), len(value))
        for column in columns:
            chunks = column.chunks if isinstance(column, arrow.ChunkedArray) else [column]
            self._tag(column.type)
            if len(column):
                whole = arrow.record_batch([arrow.concat_arrays(chunks)], names=[""])
                self._hasher.update(whole.serialize())

    def _tensor(self, value: Any) -> None:
        if not is_plain(value):
            self._reduced(value)
            return
        self._tag("tensor", type(value).__qualname__, value.dtype, tuple(value.shape), value.requires_grad)
        self._hasher.update(content_of(value))
        self.write((type(value), dict(vars(value)), value.grad if value.is_leaf else None))

    def _polars(self, value: Any) -> None:
        self._tag("polars", type(value).__qualname__, getattr(value, "name", ""))
        self.write(value.to_arrow())


def _plain_bytes(array: Any) -> Any:
    numpy = sys.modules["numpy"]
    return numpy.ascontiguousarray(array).reshape(-1).view("u1").data


def _in_order(state: Any, kind: type) -> Any:
    """Attributes in the order of their names: which was set first, nobody can see but who lists them."""
    if type(state) is not dict or any(type(key) is not str for key in state):
        return state
    root = package_of(kind)
    return {name: state[name] for name in sorted(state) if (root, name) not in _PLACES_IN_MEMORY}


#: Attributes that hold the ``id`` of an object, by the package of their class: a vectoriser knows by it whether it has
#: checked its words, the transformations of a figure who is to be told of a change.
_PLACES_IN_MEMORY = {("sklearn", "_stop_words_id"), ("matplotlib", "_parents")}


_Rule = Callable[[_Writer, Any], None]
_RULES: dict[type, _Rule] = {
    list: lambda writer, value: writer._all("list", value, len(value)),
    tuple: lambda writer, value: writer._all("tuple", value, len(value)),
    dict: _Writer._dict,
    set: _Writer._set,
    frozenset: _Writer._set,
    types.FunctionType: _Writer._function,
    functools._lru_cache_wrapper: _Writer._memoised,
    types.ModuleType: lambda writer, value: writer._tag("module", value.__name__),
    property: lambda writer, value: writer.write((value.fget, value.fset, value.fdel)),
    staticmethod: lambda writer, value: writer.write(value.__func__),
    classmethod: lambda writer, value: writer.write(value.__func__),
}
_OF_LIBRARIES: dict[tuple[str, str], _Rule] = {
    ("numpy", "ndarray"): _Writer._array,
    ("pandas", "DataFrame"): _Writer._frame,
    ("pandas", "Series"): _Writer._series,
    ("polars", "DataFrame"): _Writer._polars,
    ("polars", "Series"): _Writer._polars,
    ("pyarrow", "Table"): _Writer._arrow,
    ("pyarrow", "RecordBatch"): _Writer._arrow,
    ("pyarrow", "ChunkedArray"): _Writer._arrow,
}


def _of_library(kind: type) -> _Rule | None:
    root = package_of(kind)
    if root == "pyarrow" and kind.__name__.endswith("Array"):
        return _Writer._arrow
    return _Writer._tensor if is_tensor(kind) else _OF_LIBRARIES.get((root, kind.__name__))
