"""Claim: one engine at a time writes a database of records.

It numbers the events and knows which steps run; a second one would number anew, and take for lost what the first runs.
The claim is a lock of the operating system or of the database server, which goes with its holder however that ends.
"""

from __future__ import annotations

import contextlib
import os
import platform
from pathlib import Path
from typing import NoReturn

from sqlalchemy import Connection, Engine, text

from cellyard.errors import RecordsError, RecordsInUse
from cellyard.lock_file import LockFile

__all__ = ["Claim"]

_KEY = 0x63656C79
"""The key of the server's lock: any number that others are unlikely to use."""
_TRY = text("SELECT pg_try_advisory_lock(:key, hashtext(current_schema()))")
_WHO = text(
    "SELECT application_name FROM pg_stat_activity JOIN pg_locks USING (pid) WHERE locktype = 'advisory' AND granted "
    "AND classid = :key AND objid::bigint = hashtext(current_schema())::bigint & 4294967295 AND pg_locks.database = "
    "(SELECT oid FROM pg_database WHERE datname = current_database())"
)
_NOTICE_A_DEAD_MACHINE = (
    "SET tcp_keepalives_idle = 20", "SET tcp_keepalives_interval = 10", "SET tcp_keepalives_count = 3"
)  # fmt: skip


class Claim:
    """The right to be the engine of one database, until it is closed.

    Raises RecordsInUse when another process has it. SQLite's is a lock on the file ``NAME.lock`` beside the database,
    which stays and means nothing; never on the database itself, because closing a file lets go of SQLite's own locks.
    Other databases than SQLite and PostgreSQL, and those that are no plain file, are had without.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._name = name
        self._held = contextlib.ExitStack()
        kind, path = engine.dialect.name, engine.url.database
        if kind == "sqlite" and path and not path.startswith((":memory:", "file:")):
            self._lock_file(Path(f"{path}.lock"))
        elif kind == "postgresql":
            self._lock_server(engine)

    def close(self) -> None:
        """Let go."""
        self._held.close()

    def _lock_file(self, path: Path) -> None:
        lock = LockFile(path)
        try:
            if not lock.acquire(_me()):
                self._refuse(lock.note())
        except OSError as error:
            raise RecordsError(f"the records {self._name} cannot be claimed, by a lock on {path}: {error}.") from error
        self._held.callback(lock.release)

    def _lock_server(self, engine: Engine) -> None:
        # For the engine's life; in a pool it might be closed, or given to somebody else.
        connection = engine.connect().execution_options(isolation_level="AUTOCOMMIT")
        self._held.callback(_end, connection)
        for statement in _NOTICE_A_DEAD_MACHINE:
            connection.exec_driver_sql(statement)
        connection.execute(text("SELECT set_config('application_name', :me, false)"), {"me": f"cellyard {_me()}"})
        if not connection.execute(_TRY, {"key": _KEY}).scalar_one():
            holder = connection.execute(_WHO, {"key": _KEY}).scalar()
            self._refuse(str(holder or "").removeprefix("cellyard "))

    def _refuse(self, holder: str) -> NoReturn:
        self.close()
        raise RecordsInUse(path=self._name, holder=f" ({holder})" if holder else "")


def _end(connection: Connection) -> None:
    """Back in the pool it would keep the lock."""
    connection.invalidate()
    connection.close()


def _me() -> str:
    return f"process {os.getpid()} on {platform.node()}"
