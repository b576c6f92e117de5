"""Preparing: tables are made where there are none, and those of an older cellyard become those of this one.

The schema only ever grows: by tables, indexes and columns that may be empty. So what an older version wrote stays as it
is, and what is missing is what the database has not, compared with the tables in ``schema``.
"""

from __future__ import annotations

from collections.abc import Callable

from sqlalchemy import Connection, Table, func, inspect, select, update
from sqlalchemy.schema import CreateColumn

from cellyard.errors import RecordsError
from cellyard.records.comeback import take_all
from cellyard.records.links import link_all
from cellyard.records.schema import SCHEMA_VERSION, metadata, schema_version

__all__ = ["is_prepared", "prepare"]

_PREPARING = 0x63656C6C
"""The key of the lock under which tables are made: any number that others are unlikely to use."""

_FILLS: dict[int, Callable[[Connection], None]] = {
    2: link_all,
    3: take_all,
}
"""By schema version: what is written into its new tables from what older versions have recorded."""


def is_prepared(connection: Connection) -> bool:
    """Whether the database has this version of the tables; nothing is written.

    Raises RecordsError for the tables of a newer version.
    """
    found = _version(connection)
    if found is not None and found > SCHEMA_VERSION:
        raise RecordsError(
            f"the records were written by a newer cellyard (schema {found}; this one reads up to {SCHEMA_VERSION}). "
            "Use that cellyard, or set CELLYARD_RECORDS to another database."
        )
    return found == SCHEMA_VERSION


def prepare(connection: Connection) -> None:
    """Make what is missing. To be called in a transaction that writes, so that of two processes that open new or older
    records at once, the second finds them made."""
    if connection.dialect.name == "postgresql":
        # SQLite's transactions wait for each other when they begin; here two would both find nothing.
        connection.execute(select(func.pg_advisory_xact_lock(_PREPARING)))
    if is_prepared(connection):
        return
    found = _version(connection)
    if found is None:
        metadata.create_all(connection)
        connection.execute(schema_version.insert(), {"version": SCHEMA_VERSION})
        return
    for table in metadata.sorted_tables:
        _grow(connection, table)
    for version, fill in sorted(_FILLS.items()):
        if version > found:
            fill(connection)
    connection.execute(update(schema_version), {"version": SCHEMA_VERSION})


def _version(connection: Connection) -> int | None:
    if not inspect(connection).has_table(schema_version.name):
        return None
    found: int | None = connection.execute(schema_version.select()).scalar()
    return found


def _grow(connection: Connection, table: Table) -> None:
    """The table, with the columns and indexes that the database does not have of it."""
    looking = inspect(connection)
    if not looking.has_table(table.name):
        table.create(connection)
        return
    columns = {each["name"] for each in looking.get_columns(table.name)}
    for column in table.columns:
        if column.name not in columns:
            definition = CreateColumn(column).compile(dialect=connection.dialect)
            connection.exec_driver_sql(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
    indexes = {each["name"] for each in looking.get_indexes(table.name)}
    for index in sorted(table.indexes, key=lambda each: str(each.name)):
        if index.name not in indexes:
            index.create(connection)
