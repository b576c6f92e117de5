"""What a cell, or a function in it, does to names: one frozen value. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

__all__ = ["Facts"]


def _none() -> Mapping[str, Any]:
    return MappingProxyType({})


_SETS = (
    "reads", "writes", "deletes", "mutates", "imports", "builtins_read", "pure_reads", "calls",
    "required", "mentions",
)  # fmt: skip


@dataclass(frozen=True)
class Facts:
    """The names of a piece of code, told so that nothing is missed: every set may hold too much, never too
    little.

    Too little is possible only where :attr:`uses_dynamic` is true; then treat every name of
    :func:`cellyard.analysis.token_names` as read and possibly changed.
    """

    reads: frozenset[str] = frozenset()
    """Global names needed from before: read (or deleted) before this code has surely bound them."""
    writes: frozenset[str] = frozenset()
    """Global names that may be bound, imports and definitions included."""
    deletes: frozenset[str] = frozenset()
    """Global names that may be unbound, ``except … as`` included."""
    mutates: frozenset[str] = frozenset()
    """Names whose value may be changed in place, directly or through something that shares with it."""
    imports: frozenset[str] = frozenset()
    """Names bound by import statements (also in ``writes``)."""
    builtins_read: frozenset[str] = frozenset()
    """Builtins read where the code has not surely bound the name."""
    pure_reads: frozenset[str] = frozenset()
    """The ``reads`` that cannot be changed when they are values of builtin or numpy types."""
    calls: frozenset[str] = frozenset()
    """Names that are called. A call may change a callable object itself, never a plain function without a
    closure; they are in ``mutates`` only for another reason."""
    required: frozenset[str] = frozenset()
    """The ``reads`` that happen whenever the cell runs to its end: without such a name, a NameError is
    certain."""
    mentions: frozenset[str] = frozenset()
    """Words in texts that a library may look up as variables (``df.query``, ``duckdb.sql``, formulas)."""
    reads_at: Mapping[str, int] = field(default_factory=_none)
    """The line of the first read of each of ``reads``; the cell's first line is 1."""
    star_imports: tuple[str, ...] = ()
    """Modules imported with ``*``: they bind names that are not in ``writes``."""
    imported_modules: frozenset[str] = frozenset()
    """Top-level names of the modules imported anywhere in the code, functions included."""
    functions: Mapping[str, Facts] = field(default_factory=_none)
    """What the functions, classes and lambdas bound at cell level do when they are used."""
    uses_dynamic: bool = False
    """Whether names may be used in ways that the text does not show (``eval``, ``globals()``, some magics,
    ``!cmd``)."""
    ends_quiet: bool = False
    """Whether the cell ends with ``;``, so that its last value is not shown."""
    has_top_level_await: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON; sets become sorted lists."""
        return {
            **{name: sorted(getattr(self, name)) for name in _SETS},
            "reads_at": dict(self.reads_at),
            "star_imports": list(self.star_imports),
            "imported_modules": sorted(self.imported_modules),
            "functions": {name: facts.to_dict() for name, facts in self.functions.items()},
            "uses_dynamic": self.uses_dynamic,
            "ends_quiet": self.ends_quiet,
            "has_top_level_await": self.has_top_level_await,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Facts:
        """The facts that :meth:`to_dict` wrote."""
        return cls(
            **{name: frozenset(data[name]) for name in _SETS},
            reads_at=MappingProxyType(dict(data["reads_at"])),
            star_imports=tuple(data["star_imports"]),
            imported_modules=frozenset(data["imported_modules"]),
            functions=MappingProxyType({name: cls.from_dict(one) for name, one in data["functions"].items()}),
            uses_dynamic=data["uses_dynamic"],
            ends_quiet=data["ends_quiet"],
            has_top_level_await=data["has_top_level_await"],
        )
