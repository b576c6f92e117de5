"""The pool of step processes beside a worker: one clean child per step, forked ahead of need.

Runs on the worker's event loop. Which steps may run at once is the caller's business.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import socket
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from cellyard.errors import CellyardError, StepCancelled, StepKilled, StepOutOfMemory
from cellyard.worker import standing
from cellyard.worker.ahead import plain_of
from cellyard.worker.families import Families
from cellyard.worker.flow import OutputFlow
from cellyard.worker.forks import Child, ParentHandle, Parents
from cellyard.worker.link import Link, send_at_once
from cellyard.worker.memory import memory_kills, tree_memory
from cellyard.worker.places import Places
from cellyard.worker.surroundings import Surroundings
from cellyard.worker.watching import MemoryWatch

__all__ = ["StepPool"]

Message = dict[str, Any]
Emit = Callable[[list[Message]], None]
T = TypeVar("T")
#: Seconds after a step's end before the next child is forked.
FORK_PAUSE = 0.01
INTERRUPT_SIGNAL = signal.SIGINT


class StepPool:
    """Runs steps in child processes.

    ``store`` is the store's URL, ``cpus`` the processors that steps may use (default: this process's), ``gpus`` how
    many devices there are. ``parent`` is a handle from :meth:`spawn_parent`, if one was started ahead. ``bind`` False:
    steps get a number of processors, and none in particular (see Places).
    """

    def __init__(
        self,
        *,
        store: str,
        runtime: Path,
        cpus: Sequence[int] | None = None,
        gpus: int = 0,
        parent: ParentHandle | None = None,
        bind: bool = True,
    ) -> None:
        self._store = store
        self._worker = f"{socket.gethostname()}:{os.getpid()}"
        self._places = Places(cpus if cpus is not None else sorted(os.sched_getaffinity(0)), gpus, bind=bind)
        self._families = Families(Parents(parent, store=store), store)
        self._folder = runtime / "environment"
        self._surroundings = Surroundings(store, self._folder)
        self._running: dict[str, _Running] = {}
        self._closed = False

    @staticmethod
    def spawn_parent(store: str) -> ParentHandle:
        """Start a step parent before anything heavy is imported here; give the handle to the pool."""
        return ParentHandle.spawn((), store=store)

    async def start(self) -> None:
        """Start the step parent if none was given; returns at once."""
        await self._families.start()

    async def run(self, task: Mapping[str, Any], emit: Emit) -> None:
        """Run one step; returns after its one "finished" message was emitted. Never raises for a failed step."""
        running = _Running(task, emit, self._worker)
        if self._closed:
            running.end("cancelled", StepCancelled(step=task["name"], by=" before it started"))
            return
        place = self._places.take(task["resources"])
        self._running[task["token"]] = running
        try:
            environment = task["request"].get("environment")
            if environment is None:
                await self._run_by(self._families.at_home, running, {"store": self._store, **place})
            else:
                await self._run_elsewhere(environment, running, {"store": self._store, **place})
        except CellyardError as error:
            running.end("failed", error)
        finally:
            del self._running[task["token"]]
            self._places.give_back(place)

    async def _run_elsewhere(self, environment: Mapping[str, Any], running: _Running, place: dict[str, Any]) -> None:
        """Run a step whose kernel is on another machine: with its modules and packages, in a folder of its own."""
        prepared = await running.unless_stopped(self._surroundings.of(environment, running.note))
        if prepared is None:
            return
        scratch = self._folder / "scratch" / running.token
        place["elsewhere"] = {"modules": prepared.modules, "scratch": str(scratch)}
        try:
            async with self._families.using(prepared.packages) as parents:
                await self._run_by(parents, running, place)
        finally:
            await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)

    async def _run_by(self, parents: Parents, running: _Running, place: Mapping[str, Any]) -> None:
        try:
            await running.run(await parents.child(running.packages), place)
        finally:
            if not self._closed:
                if "elsewhere" not in place:
                    parents.expect(running.plain_state, place)
                # A moment later: what the step has answered is on its way through other processes of this machine.
                asyncio.get_running_loop().call_later(FORK_PAUSE, parents.fork_ahead)
                parents.prepare(running.packages)

    def interrupt(self, token: str) -> bool:
        """Raise KeyboardInterrupt in a running cell, as soon as it has begun; False for an unknown token."""
        running = self._running.get(token)
        if running is not None:
            running.interrupt()
        return running is not None

    def kill(self, token: str, state: str = "cancelled", error: CellyardError | None = None) -> bool:
        """End a step's processes; it finishes in ``state`` with ``error``. False for an unknown token."""
        running = self._running.get(token)
        if running is not None:
            running.kill(state, error)
        return running is not None

    def pids(self) -> set[int]:
        """The children of this process that belong to the pool: whoever sweeps up orphans spares them."""
        return self._families.pids() | self._surroundings.pids()

    async def close(self) -> None:
        """End every step and the parent; a step that comes now is cancelled."""
        self._closed = True
        for token in list(self._running):
            self.kill(token)
        self._surroundings.close()
        await self._families.close()


class _Running:
    """One step on its way through a child."""

    def __init__(self, task: Mapping[str, Any], emit: Emit, worker: str) -> None:
        self._task = task
        self._emit = emit
        self._worker = worker
        self._name: str = task["name"]
        self.token: str = task["token"]
        self.packages: Sequence[str] = task["request"].get("packages") or ()
        self.plain_state = plain_of(task["request"].get("private") or "")
        self._limit: int | None = task["resources"].get("memory")
        self._child: Child | None = None
        self._watch: MemoryWatch | None = None
        self._link: Link | None = None
        self._standing: dict[str, Any] | None = None
        self._flow = OutputFlow(task["request"].get("log_limit"))
        self._interrupt_waits = False
        self._is_prepared_for = False
        self._ended = asyncio.Event()
        self._verdict: tuple[str, CellyardError | None] | None = None

    def note(self, text: str) -> None:
        """A sentence for the user, shown with the step's output; also before it has started."""
        self._emit([{"kind": "note", "text": text}])

    async def unless_stopped(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What comes of ``work``, or None when the step is stopped meanwhile; it has then ended."""
        self._is_prepared_for = True
        doing = asyncio.create_task(work)
        stopped = asyncio.create_task(self._ended.wait())
        await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        stopped.cancel()
        self._is_prepared_for = False
        if self._verdict is None:
            return await doing
        doing.cancel()
        self.end(*self._verdict)
        return None

    async def run(self, child: Child, place: Mapping[str, Any]) -> None:
        self._child = child
        base, self._kills_before = tree_memory(child.pid), memory_kills()
        self._watch = MemoryWatch(child.pid, base, self._limit, self)
        # First of all: the child begins while the rest of this is done.
        is_wanted = self._verdict is None  # and was not cancelled while it waited for a child
        rest = send_at_once(child.sock, ["step", dict(self._task), dict(place)]) if is_wanted else b""
        self._emit([{"kind": "started", "pid": child.pid, "worker": self._worker, "time": time.time()}])
        if not is_wanted:
            self._signal(signal.SIGKILL)
        if self._interrupt_waits:
            self._signal(INTERRUPT_SIGNAL)
        link = await Link.open(child.sock, self._on_frame, self._on_lost)
        self._link = link
        link.send_rest(rest)
        self._watch.start()
        try:
            await self._ended.wait()
            if self._verdict is not None or not self._finished:
                await self._report_death(child)
        finally:
            self._watch.stop()
            await link.close()

    _finished = False

    def _on_frame(self, frame: list[Any]) -> None:
        kind, content = frame
        if kind == "output":
            self._emit(self._flow.take(content["message"]))
        elif kind in ("logged", "items"):
            self._emit([{"kind": kind, **content}])
        elif kind == "objects":
            self._emit([{"kind": "objects", **content, "time": time.time()}])
        elif kind == "standing":
            self._standing = content
        elif kind == "last words" and self._watch is not None:
            self._watch.answered()
        elif kind == "finished" and self._verdict is None:
            self._finished = True
            self._emit([*self._flow.end(), self._complete(content)])
            self._ended.set()

    def _on_lost(self) -> None:
        self._ended.set()

    def _complete(self, content: dict[str, Any]) -> Message:
        assert self._watch is not None
        own = max(0, content.pop("anonymous_memory", 0) - self._watch.base)
        self._watch.note(own + content.pop("items_memory", 0))
        error = content.get("error")
        if error is not None and error["type"] == "KeyboardInterrupt":
            content["state"] = "cancelled"
        samples = self._watch.samples(content.get("cpu_seconds"))
        return {
            "kind": "finished",
            **content,
            "peak_memory": self._watch.peak,
            "samples": samples,
            "time": time.time(),
        }

    def interrupt(self) -> None:
        if self._is_prepared_for:
            self.kill("cancelled", StepCancelled(step=self._name, by=" while its environment was prepared"))
        elif self._child is None:
            self._interrupt_waits = True
        else:
            self._signal(INTERRUPT_SIGNAL)

    def kill(self, state: str, error: CellyardError | None) -> None:
        if self._verdict is None and not self._finished:
            self._verdict = (state, error)
            if self._is_prepared_for:
                self._ended.set()
            self._signal(signal.SIGKILL)

    def _signal(self, number: int) -> None:
        if self._child is None or self._child.status.done():
            return
        with contextlib.suppress(ProcessLookupError):
            try:
                # The child leads a process group of its own, so its subprocesses are meant too, as in a terminal.
                os.killpg(self._child.pid, number)
            except ProcessLookupError:  # it has been forked this moment, and leads no group yet
                os.kill(self._child.pid, number)

    def on_memory(self, now: int, peak: int, cpu: float) -> None:
        """Part of what a MemoryWatch tells."""
        self._emit([{"kind": "memory", "bytes": now, "peak": peak, "cpu": cpu, "time": time.time()}])

    def ask_for_objects(self) -> None:
        """Part of what a MemoryWatch tells."""
        if self._link is not None:
            self._link.send("measure")

    def ask_for_last_words(self) -> None:
        """Part of what a MemoryWatch tells."""
        if self._link is not None and self._child is not None:
            standing.ask(self._child.pid)
            self._link.send("last words")

    async def on_excess(self, used: int, limit: int) -> None:
        """Part of what a MemoryWatch tells."""
        if self._standing is None and self._child is not None:
            places = await standing.dumped(self._child.pid, self._task["request"]["source"])
            self._standing = {"frames": places, "reference": None} if places else None
        self.kill("failed", StepOutOfMemory(**out_of_memory(self._name, used, limit)))

    async def _report_death(self, child: Child) -> None:
        """The child ended without an answer: by our verdict, or by a hand or fault that we did not see."""
        status = await child.status
        if self._verdict is not None:
            self.end(*self._verdict)
            return
        if os.waitstatus_to_exitcode(status) == -signal.SIGKILL and memory_kills() > self._kills_before:
            used = self._watch.peak if self._watch is not None else 0
            self.end("failed", StepOutOfMemory(**out_of_memory(self._name, used, self._limit or used, killed=True)))
            return
        by_itself = os.WIFEXITED(status)
        cause = (
            "Something in it ended the process at once (os._exit, or a library), and not the cell alone"
            if by_itself
            else "Another process, or a fault in native code, ended it"
        )
        hint = f"{cause}; its last output is above. %steps reproduce brings its inputs into the kernel."
        self.end("failed", StepKilled(step=self._name, reason=_death(status), hint=hint))

    def end(self, state: str, error: CellyardError | None) -> None:
        """Emit the finished message of a step that did not answer itself."""
        described: dict[str, Any] | None = None
        if error is not None:
            described = error.to_step_error(cause=str(error))
        if described is not None and isinstance(error, StepOutOfMemory) and self._standing is not None:
            described |= {"traceback": standing.lines_of(self._standing["frames"]), "frames": self._standing}
        peak = self._watch.peak if self._watch is not None else 0
        finished: Message = {
            "state": state,
            "outputs": [],
            "deleted": [],
            "result": None,
            "error": described,
            "private": "",
            "peak_memory": peak,
            "samples": (samples := self._watch.samples() if self._watch is not None else []),
            "cpu_seconds": samples[-1][2] if samples else 0.0,
        }
        self._emit([*self._flow.end(), {"kind": "finished", **finished, "time": time.time()}])


def out_of_memory(step: str, used: int, limit: int, *, killed: bool = False) -> dict[str, Any]:
    """The fields of StepOutOfMemory, with a proposal of half as much again. ``killed``: by the system, which was
    quicker than we, so that ``used`` is only what was seen last."""
    from cellyard.model.resources import format_memory

    gib = 1 << 30
    proposed = -(-(max(limit, used) * 3 // 2) // (gib // 4)) * (gib // 4)
    hint = f"Try --memory {proposed / gib:g}GiB."
    return {
        "step": step,
        "used": f"more (when last looked at: {format_memory(used)}) than all" if killed else format_memory(used),
        "limit": format_memory(limit),
        "limit_bytes": limit,
        "hint": f"The system ended it. {hint}" if killed else f"All else goes on. {hint}",
    }


def _death(status: int) -> str:
    code = os.waitstatus_to_exitcode(status)
    if code >= 0:
        return f"ended by itself with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was killed by {signal.Signals(-code).name}"
    return f"was killed by signal {-code}"
