"""Search: which runs fit, as SQL that SQLAlchemy writes: no text of a query ever becomes part of a statement."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, String, Table, and_, cast, exists, not_, or_, select

from cellyard.model.query import All, Comparison, Condition, Either, Not
from cellyard.records.schema import run_metrics, run_parameters, run_tags, runs, steps

__all__ = ["RunFilter", "matching"]

Column = ColumnElement[Any]

_COLUMNS: Mapping[str, Column] = {
    "id": runs.c.id,
    "kind": runs.c.kind,
    "name": runs.c.name,
    "notebook": runs.c.notebook,
    "owner": runs.c.owner,
    "state": runs.c.state,
    "commit": runs.c.git_commit,
    "session": runs.c.session,
    "created": runs.c.created,
    "seconds": runs.c.finished - runs.c.started,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFilter:
    """Which runs: all that fit everything that is given. ``before``: only those with a smaller number, which is how the
    next page is asked for; ``search`` are words, each of which is somewhere in what the run, its steps, parameters and
    metrics are called, or in what these are."""

    notebook: str | None = None
    state: str | None = None
    tags: tuple[str, ...] = ()
    where: Condition | None = None
    search: str | None = None
    before: int | None = None


def matching(wanted: RunFilter, limit: int) -> Select[Any]:
    """The newest ``limit`` runs that fit, newest first. Walks the runs by their numbers and stops at the limit."""
    query = select(runs).order_by(runs.c.id.desc()).limit(limit)
    for condition in _conditions(wanted):
        query = query.where(condition)
    return query


def _conditions(wanted: RunFilter) -> list[Column]:
    found = [_tagged(run_tags.c.tag == each) for each in wanted.tags]
    if wanted.notebook is not None:
        found.append(runs.c.notebook == wanted.notebook)
    if wanted.state is not None:
        found.append(runs.c.state == wanted.state)
    if wanted.before is not None:
        found.append(runs.c.id < wanted.before)
    found.extend(map(_mentions, (wanted.search or "").split()))
    if wanted.where is not None:
        found.append(_condition(wanted.where))
    return found


def _mentions(word: str) -> Column:
    # From the cheapest to the dearest: SQL asks no further once one fits.
    columns = (runs.c.name, runs.c.notebook, runs.c.owner, runs.c.state, runs.c.git_commit, cast(runs.c.id, String))
    return or_(
        *(_contains(each, word) for each in columns),
        _has(run_tags, _contains(run_tags.c.tag, word)),
        _has(steps, _contains(steps.c.name, word)),
        _has(run_parameters, _contains(run_parameters.c.name, word), _contains(run_parameters.c.text, word)),
        _has(run_metrics, *(_contains(each, word) for each in _METRIC)),
    )


_METRIC = (run_metrics.c.name, run_metrics.c.word, cast(run_metrics.c.value, String))


def _contains(column: Column, word: str) -> Column:
    return column.icontains(word, autoescape=True)


def _has(table: Table, *conditions: Column) -> Column:
    return exists(select(1).where(table.c.run_id == runs.c.id, or_(*conditions)).correlate(runs))


def _condition(tree: Condition) -> Column:
    if isinstance(tree, All):
        return and_(*map(_condition, tree.parts))
    if isinstance(tree, Either):
        return or_(*map(_condition, tree.parts))
    if isinstance(tree, Not):
        return not_(_condition(tree.part))
    return _comparison(tree)


def _comparison(wanted: Comparison) -> Column:
    if wanted.field == "metrics":
        own = (run_metrics.c.run_id == runs.c.id, run_metrics.c.name == wanted.name)
        return exists(select(1).where(*own, _compared(run_metrics.c.value, wanted)).correlate(runs))
    if wanted.field == "params":
        own = (run_parameters.c.run_id == runs.c.id, run_parameters.c.name == wanted.name)
        is_text = any(isinstance(each, str) for each in wanted.values)
        column: Column = run_parameters.c.text if is_text else run_parameters.c.number
        return exists(select(1).where(*own, _compared(column, wanted)).correlate(runs))
    if wanted.field == "tag":
        if wanted.operator == "!=":
            return not_(_tagged(run_tags.c.tag == wanted.values[0]))
        return _tagged(_compared(run_tags.c.tag, wanted))
    return _compared(_COLUMNS[wanted.field], wanted)


def _tagged(condition: Column) -> Column:
    return _has(run_tags, condition)


_OPERATORS: Mapping[str, Callable[[Column, Any], Column]] = {
    "!=": lambda column, value: or_(column != value, column.is_(None)),
    "<": lambda column, value: column < value,
    "<=": lambda column, value: column <= value,
    ">": lambda column, value: column > value,
    ">=": lambda column, value: column >= value,
    "~": _contains,
}


def _compared(column: Column, wanted: Comparison) -> Column:
    if wanted.operator == "=":
        # A column of texts beside a number that was given without quotes, as in params.depth in (3, auto).
        values = [_text(each) for each in wanted.values] if _has_text(wanted) else list(wanted.values)
        return column.in_(values) if len(values) > 1 else column == values[0]
    return _OPERATORS[wanted.operator](column, wanted.values[0])


def _has_text(wanted: Comparison) -> bool:
    return any(isinstance(each, str) for each in wanted.values)


def _text(value: str | float) -> str:
    return value if isinstance(value, str) else f"{value:.15g}"
