"""Attendance: the workers that a scheduler has, and the steps that they do, as its ledger tells of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.backends.base import WorkerSeen, cancelled
from cellyard.backends.dask_on_kubernetes.connection import Connection
from cellyard.backends.dask_on_kubernetes.failures import Waiting
from cellyard.backends.dask_on_kubernetes.shapes import Shape
from cellyard.backends.dask_on_kubernetes.tasks import Task, Tasks
from cellyard.background import Background
from cellyard.model.kubernetes import KubernetesSettings

__all__ = ["NOT_THERE", "Attendance", "Worker"]

SCHEDULER_LOST = "The Dask scheduler in the cluster was lost, and the step with it."
NOT_THERE = "The engine ended before it had finished, and the cluster does not have it (any more)."


@dataclass(slots=True, eq=False)
class Worker:
    """One worker. It starts, then is idle or busy; ``address`` is set while the scheduler has it."""

    name: str
    shape: Shape
    since: float
    address: str | None = None
    pod: str | None = None
    idle_since: float = 0.0
    trouble: Waiting | None = None


class Attendance:
    """What every way of having workers shares. ``changed`` is called when a round is due.

    A subclass makes ``_connection`` before anything is told, and says what a round does, what becomes of a step whose
    worker has gone (:meth:`_bury`), and of a worker that has (:meth:`_replace`).
    """

    _connection: Connection

    def __init__(
        self, config: Mapping[str, Any], settings: KubernetesSettings, tasks: Tasks, changed: Callable[[], None]
    ) -> None:
        self._config = config
        self._settings = settings
        self._tasks = tasks
        self._changed = changed
        self._workers: dict[str, Worker] = {}
        self._topic = f"cellyard-{config['engine']}"
        self._is_open = False
        self._used = self._broken_since = time.monotonic()
        self._background = Background("the care of a worker")

    async def round(self, flushed: Callable[[], Awaitable[None]]) -> float | None:
        """Look at everything and do what follows; returns the seconds after which to look again in any case.

        Raises ClusterError. ``flushed`` returns once the engine has been told what was said before.
        """
        raise NotImplementedError

    @property
    def workers(self) -> list[WorkerSeen]:
        """The workers that there are now."""
        return [
            WorkerSeen(
                name=each.pod or each.name,
                state=self.state_of(each),
                resources=each.shape.resources,
                note=each.trouble.text if each.trouble is not None else "",
            )
            for each in self._workers.values()
        ]

    @property
    def dashboard(self) -> str:
        """How a person reaches Dask's dashboard; empty where that is not known."""
        return ""

    def state_of(self, worker: Worker) -> str:
        """Whether it is starting, idle or busy."""
        if self._tasks.on(worker.name) is not None:
            return "busy"
        return "idle" if worker.address is not None else "starting"

    async def dismiss(self) -> None:
        """Let everything go. Raises ClusterError."""
        raise NotImplementedError

    async def _bury(self, task: Task, worker: Worker, *, told: str | None = None) -> None:
        """End a step whose worker has gone, with the reason; ``told`` is what Dask says of it."""
        raise NotImplementedError

    async def _replace(self, worker: Worker) -> None:
        """The worker has gone, and no step with it."""
        raise NotImplementedError

    def _connect(self, find: Callable[[], Awaitable[str]], prepare: Callable[[Any], Awaitable[None]] | None) -> None:
        self._connection = Connection(
            find,
            self._topic,
            told=self._told,
            synced=self._synced,
            lost=self._broke,
            known=self._tasks.numbers,
            prepare=prepare,
        )
        self._is_open = True

    # Steps to workers.

    async def _hand_out(self, assigned: Mapping[str, str], flushed: Callable[[], Awaitable[None]]) -> None:
        """Send steps to the workers that they are meant for. The engine hears of it before any of them can begin."""
        if not assigned or not self._connection.is_up:
            return
        for token, name in assigned.items():
            task = self._tasks.get(token)
            if task is not None:
                self._tasks.begin(task, name)
        await flushed()
        for token, name in assigned.items():
            self._send(token, name)

    def _send(self, token: str, name: str) -> None:
        task, worker = self._tasks.get(token), self._workers.get(name)
        if task is None or not task.sent:
            return
        if worker is None or worker.address is None or not self._connection.is_up:
            # Between the decision and now; it has not been sent anywhere, so it may simply wait again.
            task.sent, task.worker = False, None
            self._changed()
            return
        self._connection.submit(token, task.packed, address=worker.address, resources=self._price(task))
        if task.asked is not None:
            self._connection.signal(token, task.asked)

    def _price(self, task: Task) -> Mapping[str, int]:
        """The Dask resources that the step takes."""
        return {task.shape.name: 1}

    # From the scheduler.

    def _broke(self) -> None:
        self._broken_since = time.monotonic()
        self._changed()

    def _told(self, fact: Mapping[str, Any]) -> None:
        """A message of the topic."""
        if "packed" in fact:
            self._pass_on(fact)
        elif "worker" in fact:
            self._came(fact["worker"])
        elif "gone" in fact:
            self._went(str(fact["gone"]))
        elif "over" in fact:
            self._over(str(fact["over"]), fact.get("cause"))

    def _pass_on(self, fact: Mapping[str, Any]) -> None:
        try:
            ended = self._tasks.pass_on(fact["token"], fact["number"], fact["packed"], ended=fact["ended"])
        except LookupError:
            self._background.spawn(self._connection.sync())
            return
        if ended is not None:
            self._free(ended)

    def _free(self, task: Task) -> None:
        worker = self._workers.get(task.worker or "")
        if worker is not None:
            worker.idle_since = time.monotonic()
        self._used = time.monotonic()
        self._changed()

    def _name_of(self, facts: Mapping[str, Any]) -> str:
        """What we call the worker that the scheduler tells of."""
        return str(facts["name"]).partition(":")[0]

    def _came(self, facts: Mapping[str, Any]) -> None:
        worker = self._workers.get(self._name_of(facts))
        if worker is not None:
            worker.address, worker.pod = facts["address"], str(facts["name"]).split(":")[1]
            worker.idle_since = time.monotonic()
            self._changed()

    def _went(self, address: str) -> None:
        worker = next((each for each in self._workers.values() if each.address == address), None)
        if worker is None:
            return
        worker.address = None
        worker.since = time.monotonic()
        tasks = [task for task in self._tasks if task.sent and task.worker == worker.name]
        for task in tasks:
            if not task.losing:
                task.losing = True
                self._background.spawn(self._bury(task, worker))
        if not tasks:
            self._background.spawn(self._replace(worker))
        self._changed()

    def _over(self, token: str, cause: str | None) -> None:
        """Dask says that the task has ended; the step's last message came before, unless something broke."""
        task = self._tasks.get(token)
        if task is None or task.losing:
            return
        worker = self._workers.get(task.worker or "")
        if task.asked is not None and not task.started:
            self._tasks.finish(task, cancelled(task.task.name))
        elif cause is not None and worker is not None:
            # Most likely the worker has gone with it; that is told later than this.
            task.losing = True
            self._background.spawn(self._bury(task, worker, told=cause))
            return
        else:
            self._tasks.lose(task, cause or "It ended without a result.")
        self._free(task)

    def _synced(self, found: Mapping[str, Any]) -> None:
        """All that the scheduler has, after a new connection to it."""
        present = {self._name_of(facts): facts for facts in found["workers"]}
        for name, facts in present.items():
            known = self._workers.get(name)
            if known is None or known.address != facts["address"]:
                self._came(facts)
        for name, worker in list(self._workers.items()):
            if name not in present and worker.address is not None:
                self._went(worker.address)
        left = self._tasks.take_in(found["steps"])
        addresses = {facts["address"]: name for name, facts in present.items()}
        for task in self._tasks:
            facts = found["steps"].get(task.token)
            if task.sent and facts is not None:
                task.worker = addresses.get(facts["worker"], task.worker)
                if task.asked is not None:
                    self._connection.signal(task.token, task.asked)
        for task in left:
            facts = found["steps"].get(task.token)
            if facts is not None:
                self._over(task.token, facts["cause"])
            elif not task.losing:
                self._tasks.lose(task, NOT_THERE if task.worker is None else SCHEDULER_LOST)
        self._changed()

    # From the engine.

    def signal(self, token: str, how: str) -> None:
        """Interrupt or cancel a step that was sent."""
        if self._is_open:
            self._connection.signal(token, how)

    def stored(self, token: str, number: int) -> None:
        """The engine has a step's messages up to that number."""
        if self._is_open:
            self._connection.stored(token, number)

    def forget(self, token: str) -> None:
        """Nobody will ask for the step again."""
        if self._is_open:
            self._connection.forget(token)

    async def close(self) -> None:
        """Let go of the cluster, and leave it as it is."""
        if self._is_open:
            await self._connection.close()
        await self._background.cancel()
