"""On the path of every process of a test: kills the process that comes to the operation that the test has chosen.

The file that CELLYARD_INTERRUPTION names says which kind of operation ("store" or "records"), and how many are let by.
It is gone when the process has been killed. Without that file nothing happens.
"""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

CONTROL = os.environ.get("CELLYARD_INTERRUPTION", "")
STORE = os.environ.get("CELLYARD_HOME", "") + "/store/"


def come_to(kind: str) -> None:
    """The process is about to carry out an operation of that kind."""
    try:
        control = os.open(CONTROL, os.O_RDWR)
    except OSError:
        return
    fcntl.flock(control, fcntl.LOCK_EX)
    wanted, _, left = os.read(control, 100).decode().partition(" ")
    if wanted == kind and os.path.exists(CONTROL):  # noqa: PTH110 - pathlib is not imported in every process
        if int(left) == 0:
            os.unlink(CONTROL)  # noqa: PTH108
            os.kill(os.getpid(), signal.SIGKILL)
        os.pwrite(control, f"{kind} {int(left) - 1:<10}".encode(), 0)
    os.close(control)


def look(event: str, given: tuple[Any, ...]) -> None:
    """Python is about to do something with a file."""
    if event == "open":
        path, flags = given[0], given[2]
        if isinstance(path, str) and path.startswith(STORE) and isinstance(flags, int) and flags & os.O_CREAT:
            come_to("store")
    elif event == "os.rename" and str(given[1]).startswith(STORE):
        come_to("store")


class Listening(MetaPathFinder, Loader):
    """Has SQLAlchemy tell of every commit, once it is imported."""

    def find_spec(self, name: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name != "sqlalchemy.engine.base":
            return None
        sys.meta_path.remove(self)
        spec = PathFinder.find_spec(name, path, target)
        assert spec is not None
        assert spec.loader is not None
        execute = spec.loader.exec_module

        def exec_and_wrap(module: ModuleType) -> None:
            execute(module)
            commit = module.Connection._commit_impl

            def commit_or_die(connection: Any) -> None:
                come_to("records")
                commit(connection)

            module.Connection._commit_impl = commit_or_die  # type: ignore[attr-defined]

        spec.loader.exec_module = exec_and_wrap  # type: ignore[method-assign]
        return spec


if CONTROL:
    sys.addaudithook(look)
    sys.meta_path.insert(0, Listening())
