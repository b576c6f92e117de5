"""The names that a cell reads, binds, unbinds and changes. Pure: text in, :class:`Facts` out."""

from __future__ import annotations

import ast
from collections.abc import Collection
from functools import lru_cache
from types import MappingProxyType
from typing import NamedTuple

from cellyard.analysis.aliases import Aliases, deep
from cellyard.analysis.coarse import coarse_facts
from cellyard.analysis.definitions import CellReader
from cellyard.analysis.facts import Facts
from cellyard.analysis.ledger import Ledger
from cellyard.analysis.parsing import Transform, check_compiles, ends_quiet, python_of, tree_of
from cellyard.analysis.purity import BUILTINS

__all__ = ["analyze"]

_NO_NAMES: frozenset[str] = frozenset()


class _Cell(NamedTuple):
    text: str
    transform: Transform | None
    shadowed: frozenset[str]
    lazy_annotations: bool


def analyze(
    source: str,
    *,
    transform: Transform | None = None,
    shadowed: Collection[str] = _NO_NAMES,
    lazy_annotations: bool = False,
) -> Facts:
    """What the cell ``source`` does to names.

    ``transform`` turns IPython syntax into Python (``TransformerManager().transform_cell``); without it the
    cell must be Python. ``shadowed`` are builtins whose names the notebook has bound itself: they count as
    any other name. ``lazy_annotations`` says that an earlier cell has imported them from ``__future__``; one that does
    so itself is understood. Results are kept, so that the same cell costs next to nothing the second time.

    Raises :class:`~cellyard.errors.InvalidCell` (with an empty ``step``) for a cell that does not compile.
    """
    return _analyze(_Cell(source, transform, BUILTINS.intersection(shadowed), lazy_annotations))


@lru_cache(maxsize=512)
def _analyze(cell: _Cell) -> Facts:
    text = python_of(cell.text, cell.transform)
    tree = tree_of(text)
    impure = _NO_NAMES
    while True:
        lazy = cell.lazy_annotations or _postpones(tree)
        reader = CellReader(text, cell.transform, cell.shadowed, impure, lazy_annotations=lazy)
        try:
            reader.block(tree.body)
        except RecursionError:
            return coarse_facts(tree)
        found = _redefined(reader)
        if found <= impure:
            break
        impure |= found
    if reader.suspicious:
        check_compiles(text)
    return _facts(reader, cell.text)


def _postpones(tree: ast.Module) -> bool:
    """Whether the cell begins with ``from __future__ import annotations``."""
    return any(
        isinstance(each, ast.ImportFrom)
        and each.module == "__future__"
        and any(alias.name == "annotations" for alias in each.names)
        for each in tree.body
    )


def _redefined(reader: CellReader) -> frozenset[str]:
    """The builtins whose names the cell binds: nothing is known of calls of these."""
    if reader.star_imports:
        return BUILTINS
    written = set(reader.ledger.writes)
    for ledgers in reader.pending.values():
        for ledger in ledgers:
            written |= ledger.writes
    return BUILTINS & written


def _facts(reader: CellReader, text: str) -> Facts:
    binds_unseen = "sys.modules" in text and "__main__" in text
    if reader.dynamic or binds_unseen:
        reader.dynamic = True
        reader.bound = set()
        for key in list(reader.pending):
            reader.use(key)
    ledger = reader.ledger
    ledger.changes |= reader.aliases.settle()
    # Surely modules wherever they are used; what a name was before the cell is not known.
    modules = frozenset(reader.modules - reader.values - ledger.reads.keys())
    return _account(
        ledger,
        reader.aliases,
        modules,
        Facts(
            required=frozenset() if binds_unseen else frozenset(ledger.needed - ledger.writes),
            mentions=frozenset(reader.mentions),
            star_imports=tuple(reader.star_imports),
            imported_modules=frozenset(reader.imported_modules),
            functions=MappingProxyType(_functions(reader, modules)),
            uses_dynamic=reader.dynamic,
            ends_quiet=ends_quiet(text),
            has_top_level_await=reader.awaits,
        ),
    )


def _functions(reader: CellReader, modules: frozenset[str]) -> dict[str, Facts]:
    found: dict[str, Facts] = {}
    for key, ledgers in reader.pending.items():
        if "\0" not in key:
            whole = Ledger()
            for ledger in ledgers:
                whole.absorb(ledger, set())
                whole.changes |= deep(tuple(ledger.result))
            found[key] = _account(whole, reader.aliases, modules, Facts(uses_dynamic=reader.dynamic))
    return found


def _account(ledger: Ledger, aliases: Aliases, modules: frozenset[str], rest: Facts) -> Facts:
    """``rest`` completed with the sets of ``ledger``."""
    called, through = aliases.called(ledger.called)
    surely = aliases.changed(ledger.changes | through)
    mutated = surely | aliases.changed(ledger.changes_of_others) if ledger.changes_of_others else surely
    pure = () if rest.uses_dynamic else ledger.reads.keys() - surely - called
    return Facts(
        reads=frozenset(ledger.reads),
        writes=frozenset(ledger.writes),
        deletes=frozenset(ledger.deletes),
        mutates=frozenset(_global_names(mutated) - modules),
        imports=frozenset(ledger.imports),
        builtins_read=frozenset(ledger.builtins),
        pure_reads=frozenset(pure),
        calls=frozenset(_global_names(called)),
        required=rest.required,
        mentions=rest.mentions,
        reads_at=MappingProxyType(ledger.reads),
        star_imports=rest.star_imports,
        imported_modules=rest.imported_modules,
        functions=rest.functions,
        uses_dynamic=rest.uses_dynamic,
        ends_quiet=rest.ends_quiet,
        has_top_level_await=rest.has_top_level_await,
    )


def _global_names(keys: set[str]) -> set[str]:
    return {key for key in keys if "\0" not in key}
