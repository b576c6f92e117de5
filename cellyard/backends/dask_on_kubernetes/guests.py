"""Guests: steps on the workers of a Dask cluster that is there already, whoever has made it.

Its scheduler and workers need cellyard, and are given what serves steps when the engine connects. A worker is taken to
have as many CPUs as threads; nothing is created and nothing deleted.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from cellyard.backends.base import lost
from cellyard.backends.dask_on_kubernetes.attendance import Attendance, Worker
from cellyard.backends.dask_on_kubernetes.ledger import StepLedger
from cellyard.backends.dask_on_kubernetes.roster import ordered
from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.backends.dask_on_kubernetes.steps import ClusterSteps
from cellyard.backends.dask_on_kubernetes.tasks import Task
from cellyard.model.resources import Resources

__all__ = ["Guests"]

_NOTE_AFTER = 4.0
_LOOK_AGAIN = 1.0


class Guests(Attendance):
    """The workers of ``settings.scheduler``."""

    async def round(self, flushed: Callable[[], Awaitable[None]]) -> float | None:
        """Give steps to workers that have room; see Attendance."""
        if not len(self._tasks):
            return None
        if not self._is_open:
            self._connect(self._find, self._prepare)
            self._connection.start()
        waiting = ordered(self._tasks.waiting(), time.monotonic())
        assigned: dict[str, str] = {}
        free = {worker.name: self._free_of(worker) for worker in self._workers.values()}
        for step in waiting:
            room = [name for name, size in free.items() if step.shape.resources.fits(size)]
            if not room:
                # Those behind it wait too: it would never find room among small ones.
                break
            chosen = max(room, key=lambda name: free[name].cpu)
            free[chosen] = _less(free[chosen], step.shape.resources)
            assigned[step.token] = chosen
        await self._hand_out(assigned, flushed)
        for step in waiting:
            if step.token not in assigned and time.monotonic() - step.since > _NOTE_AFTER:
                task = self._tasks.get(step.token)
                if task is not None:
                    self._tasks.note(task, self._why_waiting(step.shape))
        return _LOOK_AGAIN if waiting else None

    def _why_waiting(self, shape: Shape) -> str:
        where = f"the Dask scheduler {self._settings.scheduler}"
        if not self._connection.is_up:
            return f"{where} cannot be reached yet, or lacks cellyard; trying again"
        if not self._workers:
            return f"{where} has no workers yet"
        if not any(shape.resources.fits(worker.shape.resources) for worker in self._workers.values()):
            largest = max(self._workers.values(), key=lambda worker: worker.shape.cpu).shape
            return f"{where} has no worker of this size ({shape}); its largest has {largest.resources}"
        return f"all workers of {where} that are large enough are busy"

    def _free_of(self, worker: Worker) -> Resources:
        free = worker.shape.resources
        for task in self._tasks:
            if task.sent and task.worker == worker.name:
                free = _less(free, task.shape.resources)
        return free

    async def _find(self) -> str:
        return str(self._settings.scheduler)

    async def _prepare(self, client: Any) -> None:
        """Give scheduler and workers what they need; those that have it keep it."""
        await client.register_plugin(StepLedger(self._topic))
        await client.register_plugin(ClusterSteps(self._topic, self._config["store"]))

    def _price(self, task: Task) -> Mapping[str, int]:
        return {}

    def _name_of(self, facts: Mapping[str, Any]) -> str:
        return str(facts["address"])

    def _came(self, facts: Mapping[str, Any]) -> None:
        address = str(facts["address"])
        memory = int(facts["memory"]) or None
        shape = Shape(float(facts["nthreads"]), memory if memory is not None else 1 << 62)
        self._workers[address] = Worker(address, shape, time.monotonic(), address=address)
        self._changed()

    async def _bury(self, task: Task, worker: Worker, *, told: str | None = None) -> None:
        cause = told or "Its connection to the scheduler broke."
        self._tasks.finish(task, lost(task.task.name, worker=worker.name, cause=cause, peak=task.peak))
        self.forget(task.token)
        await self._replace(worker)

    async def _replace(self, worker: Worker) -> None:
        if self._workers.get(worker.name) is worker and worker.address is None:
            del self._workers[worker.name]
        self._changed()

    async def dismiss(self) -> None:
        """Leave the cluster as it was; steps were cancelled before."""
        if self._is_open:
            for task in self._tasks:
                self._connection.signal(task.token, "cancel")
            await self._connection.close()


def _less(free: Resources, taken: Resources) -> Resources:
    memory = None if free.memory is None else free.memory - (taken.memory or 0)
    return Resources(free.cpu - taken.cpu, memory, free.gpu)
