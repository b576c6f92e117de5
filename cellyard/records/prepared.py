"""Prepared: the changes that every step makes, handed to SQLite's driver as they are.

SQLAlchemy makes the SQL, once for each set of columns, and says how a value is written. What it does beyond that each
time a statement is executed costs more than the statement itself, and every step waits for it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, Dialect, Insert, Update

__all__ = ["Prepared"]

Values = Mapping[str, Any]


class _Made(NamedTuple):
    """SQL with places for values, and for each place the name of its value and how that is written."""

    sql: str
    places: tuple[tuple[str, Callable[[Any], Any] | None], ...]

    def placed(self, values: Values) -> tuple[Any, ...]:
        return tuple(values[name] if write is None else write(values[name]) for name, write in self.places)


class Prepared:
    """An insert or update, executed as ``Connection.execute`` would; with other databases than SQLite, by it."""

    def __init__(self, statement: Insert | Update) -> None:
        self._statement = statement
        self._made: dict[tuple[str, ...], _Made] = {}

    def execute(self, connection: Connection, values: Values) -> int:
        """Change one row; returns the id that a new one has been given."""
        if connection.dialect.name != "sqlite":
            result: Any = connection.execute(self._statement, dict(values))
            return int(result.inserted_primary_key[0]) if isinstance(self._statement, Insert) else 0
        made = self._of(connection.dialect, values)
        cursor = _driver(connection).execute(made.sql, made.placed(values))
        return int(cursor.lastrowid or 0)

    def execute_many(self, connection: Connection, rows: Sequence[Values]) -> None:
        """Do so for rows that have values for the same columns."""
        if connection.dialect.name != "sqlite":
            connection.execute(self._statement, [dict(row) for row in rows])
            return
        made = self._of(connection.dialect, rows[0])
        _driver(connection).executemany(made.sql, [made.placed(row) for row in rows])

    def _of(self, dialect: Dialect, values: Values) -> _Made:
        names = tuple(values)
        made = self._made.get(names)
        if made is None:
            made = self._made[names] = self._make(dialect, names)
        return made

    def _make(self, dialect: Dialect, names: Sequence[str]) -> _Made:
        compiled: Any = self._statement.compile(dialect=dialect, column_keys=list(names))
        types = {name: compiled.binds[name].type for name in compiled.positiontup}
        places = ((name, type_.dialect_impl(dialect).bind_processor(dialect)) for name, type_ in types.items())
        return _Made(str(compiled), tuple(places))


def _driver(connection: Connection) -> Any:
    return connection.connection.driver_connection
