"""Database: connections, transactions, and the translation of the driver's errors.

SQLite runs in WAL mode: readers never wait for the writer, a commit is one append without fsync (what a dead
process had committed stays; only a power cut may take the last commits), and a writer takes the lock when its
transaction begins, so that it never has to be undone half way.
"""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, SQLAlchemyError

from cellyard.errors import CellyardError, RecordsError, RecordsLocked, Unrecordable
from cellyard.model import format_duration
from cellyard.records.claim import Claim

__all__ = ["Database"]

_LOCKED = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_REFUSED = frozenset({"DataError", "IntegrityError"})
"""What every driver calls its errors of a value that the database cannot hold."""
_READ = "cellyard_read"
_LEAST_ROOM = 64 << 10
_NO_SPACE = (
    " Free some space on that disk (`cellyard gc` throws away values that no run of late speaks of, where they are on "
    "the same one), or set CELLYARD_RECORDS to a database elsewhere."
)


class Database:
    """One database. Safe to use from several threads; each transaction has a connection of its own."""

    def __init__(self, url: str, *, busy_timeout: float) -> None:
        self.name = "database"  # until the URL is parsed, which may hold a password
        self.busy_timeout = busy_timeout
        self._engine = self._make_engine(url)
        self._reader = self._engine.execution_options(**{_READ: True})
        self._claim: Claim | None = None

    def claim(self) -> None:
        """Be the one engine that writes here, until :meth:`close`. Raises RecordsInUse when another is."""
        with self._translated():
            self._claim = Claim(self._engine, self.name)

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that writes: committed on leaving, undone whole by any exception.

        Raises RecordsLocked when another process holds the lock for longer than the busy timeout, and Unrecordable for
        what the database can never take.
        """
        try:
            with self._translated(), self._engine.begin() as connection:
                yield connection
        except (TypeError, ValueError, OverflowError) as error:  # the driver's own, of a value that it cannot hand on
            raise Unrecordable(path=self.name, reason=f"{error}.") from error

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that reads one consistent state."""
        with self._translated(), self._reader.connect() as connection:
            yield connection

    def close(self) -> None:
        """Close every connection; the last process to do so leaves one plain file. Others may claim it then."""
        self._engine.dispose()
        if self._claim is not None:
            self._claim.close()

    def _make_engine(self, url: str) -> Engine:
        with self._translated():
            parsed = make_url(url)
            self.name = parsed.render_as_string(hide_password=True)
            if parsed.get_backend_name() != "sqlite":
                return create_engine(parsed, pool_pre_ping=True)
            if parsed.database and parsed.database != ":memory:":
                self.name = parsed.database
                _make_private_file(Path(parsed.database))
            engine = create_engine(parsed, connect_args={"timeout": self.busy_timeout})
            event.listen(engine, "connect", _configure_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
            return engine

    @contextmanager
    def _translated(self) -> Iterator[None]:
        try:
            yield
        except CellyardError:
            raise
        except (DBAPIError, sqlite3.Error) as error:
            raise self._told(error.orig if isinstance(error, DBAPIError) else error) from error
        except ArgumentError as error:
            raise RecordsError(f"the setting `records` is not the URL of a database: {error}.") from error
        except (SQLAlchemyError, ModuleNotFoundError) as error:
            raise RecordsError(f"the records {self.name}: {error}.") from error

    def _told(self, error: BaseException | None) -> RecordsError:
        """What the driver says, in our words."""
        code = getattr(error, "sqlite_errorcode", 0) & 0xFF
        if code in _LOCKED:
            return RecordsLocked(path=self.name, waited=format_duration(self.busy_timeout))
        if {each.__name__ for each in type(error).__mro__} & _REFUSED:
            return Unrecordable(path=self.name, reason=f"{error}.")
        is_full = code == sqlite3.SQLITE_FULL or type(error).__name__ == "DiskFull"
        is_full = is_full or (code == sqlite3.SQLITE_IOERR and _has_no_room(Path(self.name)))
        return RecordsError(f"the records {self.name}: {error}.{_NO_SPACE if is_full else ''}")


def _has_no_room(file: Path) -> bool:
    """Whether its disk is full: of the files that it maps into memory SQLite cannot say why they do not grow."""
    try:
        return shutil.disk_usage(file.parent).free < _LEAST_ROOM
    except OSError:
        return False


def _make_private_file(path: Path) -> None:
    """Records hold code and outputs: a folder or file that is made here is for its owner only."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.touch(mode=0o600, exist_ok=True)
    except OSError as error:
        raise RecordsError(f"the records {path} cannot be made: {error}.") from error


def _configure_sqlite(connection: Any, _record: object) -> None:
    # The driver would begin transactions by itself, and too late: the "begin" event below does it.
    connection.isolation_level = None
    if connection.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
        connection.execute("PRAGMA journal_mode = WAL")
    connection.execute("PRAGMA synchronous = NORMAL")
    connection.execute("PRAGMA foreign_keys = ON")


def _begin_sqlite(connection: Connection) -> None:
    reads = connection.get_execution_options().get(_READ, False)
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")
