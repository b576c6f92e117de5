"""The contract of a backend, and the values that cross it. Pure: no processes, no Dask."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from cellyard.errors import CellyardError, DoesNotFit, StepCancelled, WorkerLost
from cellyard.model.resources import Resources

__all__ = [
    "Backend",
    "Listener",
    "Message",
    "Offer",
    "StepTask",
    "WorkerSeen",
    "cancelled",
    "check_fits",
    "cost",
    "finished",
    "lost",
]

Message = dict[str, Any]
Listener = Callable[[str, list[Message]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTask:
    """One attempt of a step, ready to run: ``request`` is a StepRequest as a dictionary, ``resources`` are
    already capped to what the backend has. The token names the attempt and is never used twice."""

    token: str
    run: int
    step: int
    name: str
    request: dict[str, Any]
    resources: Resources

    def to_dict(self) -> dict[str, Any]:
        """The task as JSON; holds the request's private part, so it goes to workers and nowhere else."""
        return {
            "token": self.token,
            "run": self.run,
            "step": self.step,
            "name": self.name,
            "request": self.request,
            "resources": self.resources.to_dict(),
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> StepTask:
        """The task that :meth:`to_dict` wrote."""
        return cls(
            token=str(data["token"]),
            run=int(data["run"]),
            step=int(data["step"]),
            name=str(data["name"]),
            request=dict(data["request"]),
            resources=Resources.from_dict(data["resources"]),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a backend has for steps, as far as their sizes are judged before they are queued.

    ``capacity`` is the most that steps may have together. ``memory``: what a step gets that names none (None: what is
    free). ``caps_cpu``: a step that wants more CPUs than there are gets those that there are. ``honours``: which of
    the options "disk", "image", "node", "spot" and "priority" mean anything here; ``place`` is how notes call it.
    ``workers``: the most workers that there are at once; ``idle``: seconds after which one without work is let go
    (None: there is no such limit).
    """

    capacity: Resources
    memory: int | None = None
    caps_cpu: bool = True
    honours: frozenset[str] = frozenset()
    place: str = "this machine"
    workers: int | None = None
    idle: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSeen:
    """A worker that there is now. ``state``: "starting", "idle" (warm: a step begins at once) or "busy"; ``note`` says
    what keeps one from starting."""

    name: str
    state: str
    resources: Resources
    note: str = ""

    def to_dict(self) -> dict[str, Any]:
        """The worker as JSON."""
        return {
            "name": self.name,
            "state": self.state,
            "resources": self.resources.to_dict(),
            "note": self.note,
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> WorkerSeen:
        """The worker that :meth:`to_dict` wrote."""
        return cls(**{**data, "resources": Resources.from_dict(data["resources"])})


class Backend(Protocol):
    """Where steps run. What every backend promises:

    - For each token that ``submit`` took, the listener gets messages in order, and last exactly one
      ``{"kind": "finished"}``: also when the child, the worker or the backend's own process dies (state
      "lost", error type "WorkerLost", with the cause), and at the latest when ``close`` returns. Before it
      come "started", then "output" and "memory"; a step that never started has only "finished". A "starting" comes
      before it, with the "time" from which the step had a worker, or one was begun for it. A "note" (a
      sentence for the user: what is waited for, what is installed) may come at any time before the end.
    - The listener is called on the loop that called ``start``, with a batch of messages of one token, and
      must not raise.
    - Steps start in the order of submission, and never more at once than CPU, memory and GPU allow. A step
      that does not fit yet holds back those behind it, so that neither large nor small ones starve.
    - An attempt whose step may have begun is never begun again; one that was still waiting when a worker
      died simply goes on waiting for the next.
    - Where the class says ``outlives_engine``, steps go on when the engine ends without ``close``. Their messages have
      a "number" then, and ``attach(task, number)`` of a later engine's backend goes on after that.
    - ``interrupt`` and ``cancel`` ignore a token that is unknown or finished. A step that still waits is
      taken out at once by either (state "cancelled").
    """

    @property
    def offer(self) -> Offer:
        """What there is for steps."""

    @property
    def workers(self) -> tuple[WorkerSeen, ...]:
        """The workers that there are now, as far as is known."""

    @property
    def dashboard(self) -> str:
        """How a person reaches Dask's dashboard; empty where it has none."""

    async def start(self, listener: Listener) -> None:
        """Be ready to take steps; returns without waiting for a worker."""

    async def submit(self, task: StepTask) -> None:
        """Queue a step, also while no worker is up yet.

        Raises DoesNotFit when it can never fit, EngineError when this backend cannot run anything; nothing
        has then been queued and no message will come.
        """

    async def interrupt(self, token: str) -> None:
        """Raise KeyboardInterrupt in a running step, once."""

    async def cancel(self, token: str) -> None:
        """Stop a step: its processes are killed, its state becomes "cancelled"."""

    async def settled(self, token: str) -> None:
        """The end of this attempt is recorded: the backend need not keep anything of it."""

    async def close(self) -> None:
        """Stop everything; no process of this backend is left, and no message comes afterwards."""


def cost(resources: Resources) -> dict[str, int]:
    """What a step takes from the capacity, in whole numbers: sums of fractions would drift.

    CPU in thousandths (at least one: a step that costs nothing would pass by those that wait), memory in
    bytes, GPUs; what is not asked for is left out.
    """
    wanted = {"cpu": max(1, round(resources.cpu * 1000))}
    if resources.memory:
        wanted["memory"] = resources.memory
    if resources.gpu:
        wanted["gpu"] = resources.gpu
    return wanted


def check_fits(task: StepTask, capacity: Resources, size: Resources | None = None) -> None:
    """Raise DoesNotFit when the task could not run here even alone. ``size``: its size, where that is another than
    the task's own."""
    wanted = size or task.resources
    if not wanted.fits(capacity):
        raise DoesNotFit(step=task.name, wanted=str(wanted), capacity=str(capacity), hint="Ask for less, or use --fit.")


def finished(state: str, error: CellyardError, *, cause: str | None = None, peak: int = 0) -> Message:
    """The last message of a step that did not end by itself."""
    return {
        "kind": "finished",
        "state": state,
        "outputs": [],
        "deleted": [],
        "result": None,
        "error": error.to_step_error(cause=cause),
        "private": "",
        "peak_memory": peak,
        "cpu_seconds": 0.0,
        "time": time.time(),
    }


def lost(name: str, *, worker: str, cause: str, peak: int = 0) -> Message:
    """The last message of a step whose worker was lost; ``cause`` is a sentence."""
    hint = f"{cause} Execute the cell again; with --retries that happens by itself."
    return finished("lost", WorkerLost(step=name, worker=worker, hint=hint), cause=cause, peak=peak)


def cancelled(name: str) -> Message:
    """The last message of a step that was taken out of the queue."""
    return finished("cancelled", StepCancelled(step=name, by=" before it started"))
