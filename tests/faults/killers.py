"""What kills processes at random moments while a test goes on."""

from __future__ import annotations

import random
import threading

from tests.service.engines import Home

__all__ = ["TOLD", "Killer"]

TOLD = {"WorkerLost", "StepKilled", "EngineUnavailable", "EngineError"}
"""The errors by which a cell may be told that something of its engine was killed."""


class Killer(threading.Thread):
    """Calls ``strike`` every now and then while an engine is there, until it is told to end or says that it is done."""

    def __init__(self, home: Home, seed: int) -> None:
        super().__init__(daemon=True)
        self._client = home.client()
        self._ended = threading.Event()
        self.random = random.Random(seed)

    @property
    def is_done(self) -> bool:
        return self._ended.is_set()

    def run(self) -> None:
        while not self.is_done and not self._ended.wait(self.random.uniform(0.05, 1.5)):
            facts = self._client.info()
            if facts is not None:
                self.strike(facts["pid"])

    def strike(self, engine: int) -> None:
        """Kill something of the engine with this pid."""
        raise NotImplementedError

    def end(self) -> None:
        self._ended.set()
        self.join()
