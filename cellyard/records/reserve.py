"""Reserve: room beside a database of one file that is kept for the day on which its disk is full.

To throw away values is itself written into the records, and SQLite cannot even open them where nothing at all is left.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy import make_url

__all__ = ["keep_reserve", "reserve_used"]

_SIZE = 1 << 20


def keep_reserve(url: str) -> None:
    """Have the room taken, where the records are a file and there is so much left."""
    if (path := _reserve_of(url)) is None or path.exists():
        return
    try:
        with path.open("xb") as file:
            os.posix_fallocate(file.fileno(), 0, _SIZE)
    except FileExistsError:  # another process keeps it
        return
    except OSError:  # a full disk, to which this would only add
        path.unlink(missing_ok=True)


@contextlib.contextmanager
def reserve_used(url: str) -> Iterator[None]:
    """The room is free for as long as the block runs."""
    if (path := _reserve_of(url)) is not None:
        path.unlink(missing_ok=True)
    try:
        yield
    finally:
        keep_reserve(url)


def _reserve_of(url: str) -> Path | None:
    parsed = make_url(url)
    if parsed.get_backend_name() != "sqlite" or parsed.database in (None, "", ":memory:"):
        return None
    return Path(f"{parsed.database}.reserve")
