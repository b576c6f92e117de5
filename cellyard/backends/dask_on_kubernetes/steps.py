"""Steps on a worker of the cluster: the worker's plugin, which is told from afar what to stop."""

from __future__ import annotations

import importlib
from collections import OrderedDict
from pathlib import Path
from typing import Any

from distributed import Worker

from cellyard.backends.dask_on_kubernetes.ledger import SIGNAL
from cellyard.backends.dask_steps import Pool, StepPlugin

__all__ = ["ClusterSteps", "make_pool"]

_MOST_REMEMBERED = 1000


def make_pool(store: str, *, gpus: int, parent: Any = None) -> Pool:
    """The pool of step processes of a worker. CPUs are those of the container, which the step shares with nobody:
    no step is bound to one, because another container's steps may be bound to the same."""
    pool = importlib.import_module("cellyard.worker.pool")
    made: Pool = pool.StepPool(store=store, runtime=Path("/tmp/cellyard"), gpus=gpus, parent=parent, bind=False)
    return made


class ClusterSteps(StepPlugin):
    """The plugin; a step that was asked to stop before it has begun never begins, and none begins twice.

    Without a pool it makes its own: on a worker that was there before.
    """

    idempotent = True  # on a worker that has one already it stays, with its steps

    def __init__(self, topic: str, store: str, pool: Pool | None = None) -> None:
        self._store = store
        self._unwanted: OrderedDict[str, None] = OrderedDict()
        self._seen: OrderedDict[str, None] = OrderedDict()
        self._makes_pool = pool is None
        made: Any = pool
        super().__init__(made, self._admit, topic=topic)

    async def setup(self, worker: Worker) -> None:
        """Start the pool, and listen to the scheduler."""
        if self._makes_pool:
            self.pool = make_pool(self._store, gpus=0)
        worker.stream_handlers[f"{SIGNAL}-{self.topic}"] = self.signal
        await super().setup(worker)

    def signal(self, token: str, how: str) -> None:
        """Interrupt or cancel a step; one that has not begun is not begun."""
        known = self.pool.interrupt(token) if how == "interrupt" else self.pool.kill(token)
        if not known and token not in self._seen:
            _remember(self._unwanted, token)

    async def _admit(self, token: str) -> bool:
        if token in self._seen:
            return False
        _remember(self._seen, token)
        return token not in self._unwanted  # the engine knows, and says so


def _remember(tokens: OrderedDict[str, None], token: str) -> None:
    tokens[token] = None
    if len(tokens) > _MOST_REMEMBERED:
        tokens.popitem(last=False)
