"""The engine's side of the local backend. Does not import Dask; safe to import early."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar

from cellyard.backends.base import Offer, StepTask, check_fits, cost
from cellyard.backends.hosted import HostedBackend, LiveTask
from cellyard.machine import machine_capacity
from cellyard.model.resources import Resources
from cellyard.settings import Settings
from cellyard.worker.link import pack

__all__ = ["DaskLocalBackend"]


class DaskLocalBackend(HostedBackend):
    """Steps as tasks of a Dask scheduler on this machine; the contract is ``cellyard.backends.base.Backend``.

    ``store`` and ``runtime`` are handed to the worker's step pool, as are ``cpus`` (the CPUs that steps may
    be bound to; None: all of this process). ``pool`` names the pool's class.
    """

    module: ClassVar[str] = "cellyard.backends.dask_local.host"
    title: ClassVar[str] = "The Dask process"
    place: ClassVar[str] = "local"

    def __init__(
        self,
        *,
        store: str,
        runtime: Path,
        capacity: Resources,
        cpus: Sequence[int] | None = None,
        pool: str = "cellyard.worker.pool:StepPool",
    ) -> None:
        self.capacity = capacity
        super().__init__(
            {
                "store": store,
                "runtime": str(runtime),
                "cpus": None if cpus is None else list(cpus),
                "gpus": capacity.gpu,
                "resources": cost(capacity),
                "pool": pool,
            }
        )

    @classmethod
    def from_settings(cls, settings: Settings) -> DaskLocalBackend:
        """The backend of these settings, for this machine."""
        return cls(store=settings.store_address, runtime=settings.runtime, capacity=machine_capacity(settings))

    @property
    def offer(self) -> Offer:
        """This machine."""
        return Offer(capacity=self.capacity)

    async def submit(self, task: StepTask) -> None:
        """Queue a step; see the contract."""
        check_fits(task, self.capacity)
        self._take(LiveTask(task))

    def _send(self, live: LiveTask) -> None:
        assert self._link is not None
        task = live.task
        # What the capacity does not count (memory, when it is unknown) no worker could ever grant.
        price = {kind: n for kind, n in cost(task.resources).items() if kind in self._config["resources"]}
        self._link.send("submit", task.token, task.name, price, pack(task.to_dict()))
