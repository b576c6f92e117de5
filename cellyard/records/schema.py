"""The schema: tables, indexes and their version. Imports SQLAlchemy Core; executes nothing."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    UniqueConstraint,
)

from cellyard.records.texts import String, Text

__all__ = [
    "SCHEMA_VERSION",
    "artifact_links",
    "attempts",
    "cached_results",
    "events",
    "firings",
    "kept_items",
    "metadata",
    "metric_points",
    "run_metrics",
    "run_parameters",
    "run_tags",
    "runs",
    "schedules",
    "schema_version",
    "steps",
]

SCHEMA_VERSION = 7
"""Changes with every table, column or index that is added here; ``preparing`` adds them to older records."""

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
    Column("name", Text),
    Column("owner", Text),
    Column("git_commit", String(64)),
    Column("git_changed", Boolean),
    Column("resumes", Integer),
    Index("runs_by_notebook", "notebook", "id"),
    Index("runs_by_state", "state"),
    Index("runs_by_name", "name", "id"),
    Index("runs_by_session", "session", "id"),
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
    Column("packages", _JSON),
    Column("taken", Float(53)),
    Column("given", Float(53)),
    Column("reused", Integer),
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
    Column("given", Float(53)),
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

run_tags = Table(
    "run_tags",
    metadata,
    Column("tag", String(200), primary_key=True),
    Column("run_id", ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Index("run_tags_by_run", "run_id"),
)

# A parameter is kept as it is, and beside it in the two forms by which runs are looked for.
run_parameters = Table(
    "run_parameters",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("value", _JSON),
    Column("text", Text, nullable=False),
    Column("number", Float(53)),
)

# The last value of each metric; ``metric_points`` has all of them. What is no finite number is told in words.
run_metrics = Table(
    "run_metrics",
    metadata,
    Column("run_id", ForeignKey("runs.id"), primary_key=True, autoincrement=False),
    Column("name", String(200), primary_key=True),
    Column("value", Float(53)),
    Column("word", String(8)),
)

metric_points = Table(
    "metric_points",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("name", String(200), nullable=False),
    Column("step_id", Integer),
    Column("position", Float(53)),
    Column("value", Float(53)),
    Column("word", String(8)),
    Column("time", Float(53), nullable=False),
    Index("metric_points_by_run", "run_id", "name", "id"),
)

# Which step read or made which artifact, and under which name.
artifact_links = Table(
    "artifact_links",
    metadata,
    Column("step_id", ForeignKey("steps.id"), primary_key=True, autoincrement=False),
    Column("role", String(4), primary_key=True),
    Column("artifact", String(80), primary_key=True),
    Column("name", Text, primary_key=True),
    Index("artifact_links_by_artifact", "artifact", "role", "step_id"),
    Index("artifact_links_by_name", "name", "role", "step_id"),
)

# A result that may be taken again under its key. ``step_id`` is that of the step that made it; a cell that ran in the
# kernel of a notebook's run has none, and its ``content`` is what it has shown.
cached_results = Table(
    "cached_results",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("step_id", Integer),
    Column("notebook", Text, nullable=False),
    Column("name", Text, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("parts", _JSON, nullable=False),
    Column("content", _JSON, nullable=False),
    Index("cached_results_by_key", "key", "id"),
    Index("cached_results_by_name", "notebook", "name", "id"),
    Index("cached_results_by_run", "run_id"),
    sqlite_autoincrement=True,
)

# What items of a step under ``key`` have made that did not come to its end; ``content`` says which items those are.
kept_items = Table(
    "kept_items",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("run_id", ForeignKey("runs.id"), nullable=False),
    Column("content", _JSON, nullable=False),
    Index("kept_items_by_key", "key", "id"),
    Index("kept_items_by_run", "run_id"),
    sqlite_autoincrement=True,
)

# ``considered``: up to which moment its times have been looked at. ``seen``: by what it watches, the form of it that
# was last acted on. A webhook's address is a secret, and not here: only where it leads.
schedules = Table(
    "schedules",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("name", String(200), nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("bundle", Text, nullable=False),
    Column("notebook", Text, nullable=False),
    Column("expression", String(200)),
    Column("timezone", String(80), nullable=False),
    Column("on_change", _JSON, nullable=False),
    Column("parameters", _JSON, nullable=False),
    Column("missed", String(8), nullable=False),
    Column("overlap", String(8), nullable=False),
    Column("command", Text),
    Column("webhook", Text),
    Column("owner", Text),
    Column("created", Float(53), nullable=False),
    Column("considered", Float(53), nullable=False),
    Column("seen", _JSON, nullable=False),
    sqlite_autoincrement=True,
)

firings = Table(
    "firings",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("schedule_id", Integer, nullable=False),
    Column("due", Float(53), nullable=False),
    Column("cause", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("note", Text, nullable=False),
    Column("created", Float(53), nullable=False),
    Column("started", Float(53)),
    Column("finished", Float(53)),
    Column("pid", Integer),
    Column("run_id", Integer),
    Index("firings_by_schedule", "schedule_id", "id"),
    Index("firings_by_state", "state"),
    sqlite_autoincrement=True,
)
