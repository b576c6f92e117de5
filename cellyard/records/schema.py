"""The schema: tables, indexes and their version. Imports SQLAlchemy Core; executes only :func:`prepare`."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    func,
    inspect,
    select,
)

from cellyard.errors import RecordsError

__all__ = ["SCHEMA_VERSION", "attempts", "events", "is_prepared", "metadata", "prepare", "runs", "steps"]

SCHEMA_VERSION = 1

metadata = MetaData()

# None is SQL's NULL, so that "no error" can be asked for in SQL.
_JSON = JSON(none_as_null=True)

schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

runs = Table(
    "runs",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("notebook", Text, nullable=False),
    Column("session", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("history", Text, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("owner_pid", Integer),
    Column("error", _JSON),
    Index("runs_by_notebook", "notebook", "id"),
    Index("runs_by_state", "state"),
    sqlite_autoincrement=True,
)

steps = Table(
    "steps",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", Text, nullable=False),
    Column("position", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("history", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("raw_line", Text, nullable=False),
    Column("cell_id", Text),
    Column("execution_count", Integer, nullable=False),
    Column("options", _JSON, nullable=False),
    Column("resources", _JSON, nullable=False),
    Column("inputs", _JSON, nullable=False),
    Column("outputs", _JSON, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("token", String(64)),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("error", _JSON),
    Column("peak_memory", BigInteger),
    Column("cpu_seconds", Float(53)),
    Column("pid", Integer),
    Column("worker", Text),
    Index("steps_by_run", "run_id", "position"),
    Index("steps_by_name", "name", "id"),
    Index("steps_by_state", "state"),
    sqlite_autoincrement=True,
)

attempts = Table(
    "attempts",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("step_id", ForeignKey("steps.id"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("token", String(64), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("history", Text, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("worker", Text),
    Column("pid", Integer),
    Column("peak_memory", BigInteger),
    Column("cpu_seconds", Float(53)),
    Column("error", _JSON),
    UniqueConstraint("step_id", "number"),
    sqlite_autoincrement=True,
)

# ``step`` repeats the step's name: replaying a run is then one range of one table. SQLite gives only INTEGER
# keys an automatic value; there it holds 64 bits anyway.
events = Table(
    "events",
    metadata,
    Column("seq", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("step", Text),
    Column("step_id", Integer),
    Column("attempt", Integer),
    Column("time", Float(53), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("content", _JSON, nullable=False),
    Index("events_by_run", "run_id", "seq"),
    sqlite_autoincrement=True,
)

_PREPARING = 0x63656C6C
"""The key of the lock under which tables are made: any number that others are unlikely to use."""


def is_prepared(connection: Connection) -> bool:
    """Whether the database has this version of the tables; nothing is written.

    Raises RecordsError for the tables of a version that is not this one.
    """
    if not inspect(connection).has_table(schema_version.name):
        return False
    found = connection.execute(schema_version.select()).scalar()
    if found is None:
        return False
    if found != SCHEMA_VERSION:
        raise RecordsError(_mismatch(found))
    return True


def prepare(connection: Connection) -> None:
    """Make the tables where they are missing. To be called in a transaction that writes, so that of two
    processes that open new records at once, the second finds them made."""
    if connection.dialect.name == "postgresql":
        # SQLite's transactions wait for each other when they begin; here two would both find nothing.
        connection.execute(select(func.pg_advisory_xact_lock(_PREPARING)))
    if is_prepared(connection):
        return
    metadata.create_all(connection)
    connection.execute(schema_version.insert(), {"version": SCHEMA_VERSION})


def _mismatch(found: int) -> str:
    age = "a newer" if found > SCHEMA_VERSION else "an older"
    return (
        f"the records were written by {age} cellyard (schema {found}; this one reads {SCHEMA_VERSION}). "
        "Use that cellyard, or set CELLYARD_RECORDS to another database."
    )
