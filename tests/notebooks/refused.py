"""What cannot travel between a step and its notebook, case by case."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["REFUSED", "Case"]


@dataclass(frozen=True)
class Case:
    """``make`` binds ``name`` to what cannot travel, ``use`` needs it. ``says`` are words of its
    error, beside the name."""

    noun: str
    name: str
    make: str
    use: str
    says: str


REFUSED = (
    Case("generators", "squares", "squares = (n * n for n in range(3))", "sum(squares)", "generator"),
    Case("generators", "walk", "def steps():\n    yield 1\nwalk = steps()", "next(walk)", "generator"),
    Case("generators", "plan", "plan = {'when': 'now', 'how': [(n for n in 'ab')]}", "len(plan)", "generator"),
    Case("generators", "later", "async def numbers():\n    yield 1\nlater = numbers()", "later", "async_generator"),
    Case("open handles", "log", "log = open('log.txt', 'w')", "log.write('x')", "an open file belongs to the process"),
    Case("open handles", "raw", "raw = open('log.txt', 'wb')", "raw.write(b'x')", "BufferedWriter"),
    Case("open handles", "talk", "import socket\ntalk = socket.socket()", "talk.fileno()", "socket"),
    Case("open handles", "db", "import sqlite3\ndb = [sqlite3.connect(':memory:')]", "len(db)", "Connection"),
    Case(
        "open handles",
        "guard",
        "import threading\nguard = {'lock': threading.Lock()}\nguard['lock'].acquire()",
        "len(guard)",
        "lock",
    ),
)
