"""Scheduler: the loop in the engine that starts runs when their times come and when what they watch changes.

A time is written to the records, as a firing, before anything is started for it, together with the moment up to which
the schedule has been considered: whatever dies in between, no time counts twice.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellyard.background import Background
from cellyard.errors import CellyardError
from cellyard.execution.journal import Journal
from cellyard.schedules.cron import Schedule
from cellyard.schedules.deciding import Action, Situation, decide
from cellyard.schedules.launching import Launcher, earlier_bundles, firing_tag
from cellyard.schedules.watching import Watched, fingerprint, parse_watched
from cellyard.settings import Settings

if TYPE_CHECKING:
    from cellyard.records import FiringRecord, ScheduleRecord

__all__ = ["Scheduler"]

_PERIOD = 1.0
_LOOK_PERIOD = 2.0
_HORIZON = 10 * 366 * 86400.0
_STOPS_WITHIN = 30.0
_OUTCOMES = {0: "succeeded", 130: "cancelled"}
_log = logging.getLogger(__name__)


class Scheduler:
    """The schedules of one engine: those whose bundles are in its folder."""

    def __init__(self, settings: Settings, journal: Journal) -> None:
        self._folder = settings.schedules
        self._journal = journal
        self._launcher = Launcher(settings)
        self._schedules: dict[int, ScheduleRecord] = {}
        self._next: dict[int, float | None] = {}
        self._running: dict[int, FiringRecord] = {}
        self._waiting: dict[int, FiringRecord] = {}
        self._processes: dict[int, int] = {}
        self._outdated: dict[int, set[Path]] = {}
        self._unsettled: dict[int, dict[str, str]] = {}
        self._looked = 0.0
        self._wake = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._background = Background("a scheduled run's bookkeeping")

    @property
    def active(self) -> bool:
        """Whether the engine is needed for a schedule."""
        return bool(self._running or self._waiting) or any(each.state == "active" for each in self._schedules.values())

    async def start(self) -> None:
        """Take up what an earlier engine has left, and begin. The journal is open."""
        await self.reload()
        if not self._schedules:
            return
        for firing in await self._journal.read(lambda records: records.schedules.open_firings()):
            if firing.schedule_id not in self._schedules:
                continue
            if firing.state == "waiting":
                self._waiting[firing.id] = firing
            else:
                self._running[firing.id] = firing
                self._background.spawn(self._await_earlier(firing))
        for schedule in list(self._schedules.values()):
            self._outdated[schedule.id] = await asyncio.to_thread(earlier_bundles, schedule)
            await self._forget_outdated(schedule.id)

    async def close(self) -> None:
        """Begin nothing more. What runs goes on, and the next engine hears how it ends."""
        if self._loop is not None:
            self._loop.cancel()
        await self._background.cancel()

    async def reload(self) -> None:
        """Read the schedules again: something about them was changed."""
        found = await self._journal.read(lambda records: records.schedules.all())
        self._schedules = {each.id: each for each in found if Path(each.bundle).is_relative_to(self._folder)}
        self._next.clear()
        self._wake.set()
        if self._schedules and self._loop is None:
            self._loop = asyncio.ensure_future(self._run())

    async def change(self, name: str, facts: Mapping[str, Any]) -> ScheduleRecord:
        """Another state, other times; what came while it was paused, or by the times from now on, was not missed.
        Raises NotFound."""
        begins = facts.get("state") == "active" or "expression" in facts
        values = {**facts, **({"considered": time.time()} if begins else {})}
        found = await self._journal.write(lambda records: records.schedules.change(name, **values))
        await self.reload()
        return found

    async def replace(self, schedule: ScheduleRecord, facts: Mapping[str, Any]) -> ScheduleRecord:
        """Another bundle, and what else is given anew. A run that goes on keeps the bundle that it has begun with.
        Raises NotFound and UsageError."""
        begins = "expression" in facts or "timezone" in facts
        values = {**facts, **({"considered": time.time()} if begins else {})}
        before, found = await self._journal.write(lambda records: records.schedules.replace(schedule, **values))
        await self.reload()
        self._outdated.setdefault(found.id, set()).add(Path(before.bundle))
        await self._forget_outdated(found.id)
        return found

    async def run_now(self, name: str) -> FiringRecord:
        """Start a run by hand, whatever else runs. Raises NotFound."""
        schedule = await self._journal.read(lambda records: records.schedules.named(name))
        [firing] = await self._come(schedule, [Action("start", time.time(), "hand")])
        return firing

    async def stop_runs(self, schedule_id: int) -> None:
        """Stop what runs and forget what waits for a schedule that is taken away."""
        for firing in [each for each in self._waiting.values() if each.schedule_id == schedule_id]:
            del self._waiting[firing.id]
        self._stop(schedule_id)

    # -- the loop

    async def _run(self) -> None:
        while True:
            try:
                await self._tick(time.time())
            except CellyardError as error:
                _log.warning("schedules wait for the records: %s", error)
            self._wake.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_PERIOD):
                    await self._wake.wait()

    async def _tick(self, now: float) -> None:
        looks = now - self._looked >= _LOOK_PERIOD
        if looks:
            self._looked = now
        for schedule in [each for each in self._schedules.values() if each.state == "active"]:
            try:
                await self._consider(schedule, now)
                if looks and schedule.on_change:
                    await self._look(schedule, now)
            except ValueError as error:
                # One that cannot be understood any more (of a newer version, say) must not stop the others.
                _log.error("schedule %s: %s", schedule.name, error)
        await self._start_waiting()

    async def _consider(self, schedule: ScheduleRecord, now: float) -> None:
        if schedule.expression is None or (self._next_time(schedule, now) or now + 1) > now:
            return
        cron = Schedule(schedule.expression, schedule.timezone)
        times = cron.between(schedule.considered, now)
        self._next.pop(schedule.id, None)
        # A very long absence is considered piece by piece.
        until = times[-1] if times else now
        await self._come(schedule, decide(times, self._situation(schedule, now)), considered=until)

    def _next_time(self, schedule: ScheduleRecord, now: float) -> float | None:
        if schedule.id not in self._next:
            found = Schedule(str(schedule.expression), schedule.timezone).between(
                schedule.considered, now + _HORIZON, most=1
            )
            self._next[schedule.id] = found[0] if found else None
        return self._next[schedule.id]

    async def _look(self, schedule: ScheduleRecord, now: float) -> None:
        """Whether something that is watched has changed, and has stayed the same since the last look: a file that is
        still being written is not ready."""
        found = {each.text: await self._form(each) for each in map(parse_watched, schedule.on_change)}
        known = {key: schedule.seen.get(key) for key in found}
        if None in known.values():
            # Seen for the first time: what is there when the schedule is made starts nothing.
            fresh = {key: form for key, form in found.items() if known[key] is None}
            await self._come(schedule, [], seen={**schedule.seen, **fresh})
            return
        changed = {key: form for key, form in found.items() if form != known[key]}
        before, self._unsettled[schedule.id] = self._unsettled.get(schedule.id), changed
        if changed and changed == before:
            actions = decide([now], self._situation(schedule, now), cause="change")
            noted = [Action(each.what, each.due, each.cause, _joined(each.note, changed)) for each in actions]
            await self._come(schedule, noted, seen={**schedule.seen, **changed})

    async def _form(self, watched: Watched) -> str:
        if watched.path:
            return await asyncio.to_thread(fingerprint, watched.path)
        newest = await self._journal.read(
            lambda records: records.schedules.newest_artifact(watched.notebook, watched.name)
        )
        return newest or "absent"

    def _situation(self, schedule: ScheduleRecord, now: float) -> Situation:
        running = sum(each.schedule_id == schedule.id for each in self._running.values())
        waiting = sum(each.schedule_id == schedule.id for each in self._waiting.values())
        return Situation(now, schedule.missed, schedule.overlap, running, waiting)

    async def _come(
        self,
        schedule: ScheduleRecord,
        actions: Sequence[Action],
        *,
        considered: float | None = None,
        seen: Mapping[str, str] | None = None,
    ) -> list[FiringRecord]:
        """Write what was decided, then do it."""
        states = {"start": "running", "wait": "waiting", "replace": "waiting", "skip": "skipped"}
        rows = [
            {"due": each.due, "cause": each.cause, "state": states[each.what], "note": each.note} for each in actions
        ]
        firings = await self._journal.write(
            lambda records: records.schedules.came(schedule.id, rows, considered=considered, seen=seen)
        )
        if considered is not None or seen is not None:
            again = await self._journal.read(lambda records: records.schedules.all())
            self._schedules |= {each.id: each for each in again if each.id in self._schedules}
        for action, firing in zip(actions, firings, strict=False):
            if action.what == "start":
                self._running[firing.id] = firing
                self._background.spawn(self._carry_out(schedule, firing))
            elif action.what in ("wait", "replace"):
                self._waiting[firing.id] = firing
            if action.what == "replace":
                self._stop(schedule.id)
        return firings

    async def _start_waiting(self) -> None:
        busy = {each.schedule_id for each in self._running.values()}
        for firing in sorted(self._waiting.values(), key=lambda each: each.id):
            schedule = self._schedules.get(firing.schedule_id)
            if firing.schedule_id in busy or schedule is None:
                continue
            changed = await self._change(firing.id, state="running")
            busy.add(firing.schedule_id)
            del self._waiting[firing.id]
            if changed is not None:
                self._running[firing.id] = changed
                self._background.spawn(self._carry_out(schedule, changed))

    # -- one run

    async def _carry_out(self, schedule: ScheduleRecord, firing: FiringRecord) -> None:
        # As it is now: its bundle may have been replaced while the firing was written.
        schedule = self._schedules.get(schedule.id, schedule)
        try:
            process = await self._launcher.start(schedule, firing)
        except OSError as error:
            await self._end(schedule, firing, "failed", f"it could not be started: {error.strerror or error}")
            return
        self._processes[firing.id] = process.pid
        started = time.time()
        self._journal.post(
            lambda records: records.schedules.firing_changed(firing.id, pid=process.pid, started=started)
        )
        code = await process.wait()
        note = "" if code in _OUTCOMES else f"its process ended with {code}"
        await self._end(schedule, firing, _OUTCOMES.get(code, "failed"), note)

    async def _await_earlier(self, firing: FiringRecord) -> None:
        """A run that an earlier engine has started: how it ends is told by its run."""
        if firing.pid is not None:
            self._processes[firing.id] = firing.pid
        while _is_run_of(firing.pid, firing.id):
            await asyncio.sleep(_PERIOD)
        found = await self._journal.read(lambda records: records.schedules.run_tagged(firing_tag(firing.id)))
        state = found[1] if found is not None and found[1] in ("succeeded", "failed", "cancelled") else "lost"
        note = "" if state != "lost" else "it ended while no engine was there"
        await self._end(self._schedules[firing.schedule_id], firing, state, note)

    async def _end(self, schedule: ScheduleRecord, firing: FiringRecord, state: str, note: str) -> None:
        found = await self._journal.read(lambda records: records.schedules.run_tagged(firing_tag(firing.id)))
        run_id = found[0] if found is not None else None
        text = "; ".join(each for each in (firing.note, note) if each)
        values = {"state": state, "note": text, "finished": time.time(), "run_id": run_id}
        ended = await self._write_end(firing.id, values)
        self._processes.pop(firing.id, None)
        self._running.pop(firing.id, None)
        self._wake.set()
        await self._forget_outdated(schedule.id)
        if ended is not None and state in ("failed", "lost"):
            error = await self._error_of(run_id) or note or state
            problem = await self._launcher.tell(schedule, ended, error)
            if problem:
                _log.warning("schedule %s: nobody was told of a failure: %s", schedule.name, problem)
                told = "; ".join(each for each in (text, problem) if each)
                await self._write_end(firing.id, {"note": told})

    async def _write_end(self, firing_id: int, values: Mapping[str, Any]) -> FiringRecord | None:
        while True:
            try:
                return await self._change(firing_id, **values)
            except CellyardError as error:
                _log.warning("the end of a scheduled run waits for the records: %s", error)
                await asyncio.sleep(_PERIOD)

    async def _change(self, firing_id: int, **values: Any) -> FiringRecord | None:
        return await self._journal.write(lambda records: records.schedules.firing_changed(firing_id, **values))

    async def _error_of(self, run_id: int | None) -> str:
        if run_id is None:
            return ""
        run = await self._journal.read(lambda records: records.run(run_id))
        return f"{run.error.get('type')}: {run.error.get('message')}" if run.error else ""

    async def _forget_outdated(self, schedule_id: int) -> None:
        """Take the replaced bundles away, once nothing of the schedule runs: what begins now has the new one."""
        if any(each.schedule_id == schedule_id for each in self._running.values()):
            return
        for bundle in self._outdated.pop(schedule_id, set()):
            await asyncio.to_thread(shutil.rmtree, bundle, ignore_errors=True)

    def _stop(self, schedule_id: int) -> None:
        """As Ctrl-C does; by force when that was not enough."""
        for firing in [each for each in self._running.values() if each.schedule_id == schedule_id]:
            pid = self._processes.get(firing.id)
            if pid is not None:
                _signal(pid, signal.SIGINT)
                asyncio.get_running_loop().call_later(_STOPS_WITHIN, self._kill, firing.id, pid)

    def _kill(self, firing_id: int, pid: int) -> None:
        if self._processes.get(firing_id) == pid:
            _signal(pid, signal.SIGKILL)


def _joined(note: str, changed: Mapping[str, str]) -> str:
    names = ", ".join(changed)
    return f"{names} changed; {note}" if note else f"{names} changed"


def _signal(pid: int, number: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, number)


def _is_run_of(pid: int | None, firing_id: int) -> bool:
    """Whether this process is still that run, and not another one that was given its number."""
    if pid is None:
        return False
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return False
    return firing_tag(firing_id).encode() in words
