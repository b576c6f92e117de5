"""Surroundings: what a worker has prepared for steps that come from elsewhere, each environment once.

Belongs to one event loop; the preparing itself, which may install packages, is done in threads.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellyard.errors import CellyardError, EnvironmentUnfit

if TYPE_CHECKING:
    from cellyard.environment.preparing import Prepared

__all__ = ["Surroundings"]

Tell = Callable[[str], None]


class Surroundings:
    """Prepares below ``folder``, with what the store at the URL ``store`` has."""

    def __init__(self, store: str, folder: Path) -> None:
        self._store = store
        self._folder = folder
        self._prepared: dict[str, Prepared] = {}
        self._going: dict[str, _Preparation] = {}

    async def of(self, environment: Mapping[str, Any], tell: Tell) -> Prepared:
        """What is to be on the path for this environment, prepared now if it was not before; ``tell`` is given what
        happens meanwhile. Raises what :func:`~cellyard.environment.preparing.prepare` does."""
        from cellyard.environment.request import Environment

        wanted = Environment.from_dict(environment)
        if wanted.id in self._prepared:
            return self._prepared[wanted.id]
        going = self._going.get(wanted.id)
        if going is None:
            going = self._going[wanted.id] = _Preparation()
            going.start(wanted, self._store, self._folder)
        going.listeners.append(tell)
        try:
            # Whoever gives up waiting leaves it to the others, and to the next step.
            found = await asyncio.shield(going.done)
        finally:
            going.listeners.remove(tell)
            if going.done.done():
                self._going.pop(wanted.id, None)
        self._prepared[wanted.id] = found
        return found

    def pids(self) -> set[int]:
        """The processes that install packages now."""
        return {pid for each in self._going.values() for pid in each.pids}

    def close(self) -> None:
        """Stop what is being prepared."""
        for each in self._going.values():
            each.stop.set()


class _Preparation:
    """One environment that is being prepared, and those who wait for it."""

    def __init__(self) -> None:
        self.listeners: list[Tell] = []
        self.pids: set[int] = set()
        self.stop = threading.Event()
        self._loop = asyncio.get_running_loop()
        self.done: asyncio.Future[Prepared] = self._loop.create_future()
        self.done.add_done_callback(lambda done: done.exception())  # seen, should nobody wait any more

    def start(self, environment: Any, store: str, folder: Path) -> None:
        # A daemon: the interpreter may end while it waits for a registry.
        work = threading.Thread(
            target=self._work, args=(environment, store, folder), name="cellyard-prepare", daemon=True
        )
        work.start()

    def _work(self, environment: Any, store: str, folder: Path) -> None:
        from cellyard.artifacts.store import open_store
        from cellyard.environment.installer import Progress
        from cellyard.environment.preparing import prepare

        progress = Progress(self._tell, self.stop, self.pids)
        try:
            found = prepare(environment, open_store(store), folder, progress)
        except CellyardError as error:
            self._finish(self.done.set_exception, error)
        except Exception as error:  # noqa: BLE001 - whatever it was, the step that waits is told
            message = f"the worker could not be prepared for the step ({type(error).__name__}: {error})"
            self._finish(self.done.set_exception, EnvironmentUnfit(message))
        else:
            self._finish(self.done.set_result, found)

    def _finish(self, end: Callable[[Any], None], outcome: Any) -> None:
        self._later(lambda: None if self.done.done() else end(outcome))

    def _tell(self, text: str) -> None:
        self._later(lambda: [each(text) for each in list(self.listeners)])

    def _later(self, call: Callable[[], object]) -> None:
        try:
            self._loop.call_soon_threadsafe(call)
        except RuntimeError:  # the loop has ended, and with it everybody who would listen
            self.stop.set()
