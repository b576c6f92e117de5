"""Items: a cell that runs once for each item of a list (``--map part=parts``), in batches in forked processes.

The step's process, which has all inputs loaded, forks a few lanes; each runs one item after the other, with the names
as they were at first, and stores what a batch has made. A lane that dies costs the item that was running in it.
"""

from __future__ import annotations

import ast
import contextlib
import os
import signal
import sys
import time
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from cellyard.analysis import analyze
from cellyard.artifacts.artifact import load
from cellyard.artifacts.store import Store
from cellyard.errors import CellyardError, StepError
from cellyard.worker.item_lane import ItemCode, ItemFailure, Lane, rendered
from cellyard.worker.item_state import LaneState, largest_of
from cellyard.worker.item_table import ItemRow, ItemTable
from cellyard.worker.item_tape import ItemTape
from cellyard.worker.item_values import ItemValues
from cellyard.worker.outputs import Channel
from cellyard.worker.shell import StepShell

__all__ = ["Items", "MapSpec"]

Message = dict[str, Any]

_BATCH_SECONDS = 0.25
_MOST_IN_BATCH = 500
_TICK = 0.5
_NO_ITEM = 1 << 62
"""Above all items."""


@dataclass(frozen=True, slots=True)
class MapSpec:
    """``variable`` is bound to each item of ``items`` (an expression); ``lanes`` run at once; more than
    ``most_failures`` failed items fail the step; each is tried ``retries`` times more. ``isolate``: a process
    for each item."""

    variable: str
    items: str
    lanes: int
    most_failures: int = 0
    retries: int = 0
    isolate: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any], cpu: float) -> MapSpec:
        """As the options of a step say; unless told otherwise, as many lanes as the step has CPUs."""
        variable, items = options["map"]
        lanes = options.get("max_parallel") or max(1, int(cpu))
        return cls(variable, items, lanes, options["max_failures"], options["retries"], options["isolate"])


@dataclass(slots=True)
class _Lane:
    """One process, and the batch that it has."""

    pid: int
    link: Connection
    state: LaneState
    tape: ItemTape
    batch: Sequence[int] = ()


@dataclass(slots=True)
class _Progress:
    """What is left to do and what has been done."""

    waiting: deque[int]
    total: int
    tries: dict[int, int] = field(default_factory=dict)
    failed: dict[int, ItemFailure] = field(default_factory=dict)
    seconds: float = 0.001
    done: int = 0


class Items:
    """The items of one step. ``channel`` is given what they show, and a table of them."""

    def __init__(self, shell: StepShell, request: Mapping[str, Any], store: Store, channel: Channel) -> None:
        options = request["options"]
        self._shell = shell
        self._source: str = request["source"]
        self._number: int = request["execution_count"]
        self._log_limit: int | None = request.get("log_limit")
        self._spec = MapSpec.of(options, float(options["resources"]["cpu"] or 1))
        self._values = ItemValues(
            store,
            shell.user_ns,
            wanted=options.get("outputs") or (),
            earlier=request.get("kept") or (),
            tell=channel.send if request.get("key") else None,
        )
        self._channel = channel
        self._cell: ItemCode
        self._items: list[Any] = []
        self._lanes: dict[Connection, _Lane] = {}
        self._table: ItemTable
        self.peak = 0
        """The most memory that an item has had for itself."""

    def run(self) -> BaseException | None:
        """Run the cell for each item, except those of which an earlier try has kept what they made; returns the error
        of the step, if too many failed. Afterwards each name that it writes is the list of its values, in the items'
        order (None where an item has failed, or has not bound it). KeyboardInterrupt ends all lanes and goes on."""
        try:
            return self._run()
        finally:
            self._end_lanes()

    def largest(self) -> list[dict[str, Any]]:
        """The largest objects of the items that run now; from any thread."""
        return largest_of([(lane.pid, lane.state) for lane in list(self._lanes.values()) if lane.batch])

    def _run(self) -> BaseException | None:
        names = self._shell.user_ns
        try:
            self._cell = self._compiled()
            self._items = self._listed()
        except Exception as error:  # noqa: BLE001 - whatever the user's code raises is the step's error
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_globals is not names:
                trace = trace.tb_next
            self._shell.step_traceback = rendered(self._shell, error.with_traceback(trace))
            return error
        self._values.begin(self._items)
        before, total = self._values.done_before, len(self._items)
        self._table = ItemTable(total, self._spec.variable, kept=len(before))
        progress = _Progress(deque(n for n in range(total) if n not in before), total, done=len(before))
        self._draw(progress, first=True)
        self._go(progress)
        self._draw(progress)
        names.pop(self._spec.variable, None)
        if len(progress.failed) > self._spec.most_failures:
            return self._error(progress)
        for name, reason in self._values.left_out.items():
            names.pop(name, None)
            sys.stderr.write(f"note: {name} is no list: {reason}\n")
        names.update(self._values.gathered(self._cell.names, progress.total))
        return None

    def _compiled(self) -> ItemCode:
        """The cell as its shell would compile it."""
        python = self._shell.transform_cell(self._source)
        compiler = self._shell.compile
        flags = compiler.flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        code = compile(python, compiler.cache(python, raw_code=self._source), "exec", flags, dont_inherit=True)
        facts = analyze(python)
        made = facts.writes - facts.imports - facts.functions.keys() - {self._spec.variable}
        return ItemCode(code, self._spec.variable, tuple(sorted(name for name in made if not name.startswith("__"))))

    def _listed(self) -> list[Any]:
        """The items, in the first line of the cell as tracebacks show it."""
        option = f"--map {self._spec.variable}={self._spec.items}"
        self._shell.compile.know({f"<{option}>": (self._number, self._spec.items)})
        found = eval(compile(self._spec.items, f"<{option}>", "eval", dont_inherit=True), self._shell.user_ns)
        try:
            items = iter(found)
        except TypeError as error:
            raise TypeError(f"{option} needs a list, or whatever else a loop can go through: {error}") from None
        return list(items)

    def _end_lanes(self) -> None:
        """No lane is left; what was shown of items that have not come to their end is."""
        for lane in list(self._lanes.values()):
            said = self._end(lane)[1]
            for index in filter(said.get, said):
                self._tell(f"item {index}, which was stopped", said[index])

    # -- the loop

    def _go(self, progress: _Progress) -> None:
        drawn = time.monotonic()
        while progress.waiting or self._lanes:
            while progress.waiting and len(self._lanes) < self._spec.lanes:
                lane = self._fork()
                self._give(lane, progress)
            for link in wait(list(self._lanes), _TICK):
                assert isinstance(link, Connection)
                self._hear(self._lanes[link], progress)
            if time.monotonic() - drawn > _TICK:
                self._draw(progress)
                drawn = time.monotonic()
            if len(progress.failed) > self._spec.most_failures:
                progress.waiting.clear()
                self._end_lanes()

    def _give(self, lane: _Lane, progress: _Progress) -> None:
        """The lane's next batch; its end, where nothing waits."""
        fair = max(1, len(progress.waiting) // (2 * self._spec.lanes))
        size = 1 if self._spec.isolate else min(_MOST_IN_BATCH, fair, max(1, int(_BATCH_SECONDS / progress.seconds)))
        lane.batch = [progress.waiting.popleft() for _ in range(min(size, len(progress.waiting)))]
        if not lane.batch:
            self._end(lane)
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is heard next
            lane.link.send((lane.batch, min(progress.failed, default=_NO_ITEM)))

    def _hear(self, lane: _Lane, progress: _Progress) -> None:
        try:
            stored, records = lane.link.recv()
        except (EOFError, ConnectionResetError):
            self._mourn(lane, progress)
            return
        lane.batch = ()
        said = lane.tape.read()
        made = []
        for row, failure in records:
            progress.seconds += (row.seconds - progress.seconds) / 8
            self.peak = max(self.peak, row.peak)
            if failure is None:
                made.append(row.index)
                self._settle(row, said[row.index], progress)
            else:
                self._fail(row, failure, said[row.index], progress)
        if isinstance(stored, CellyardError):
            raise stored
        if made:
            self._values.made(made, stored)
        if self._spec.isolate:
            self._end(lane)
        else:
            self._give(lane, progress)

    def _settle(self, row: ItemRow, said: Sequence[Message], progress: _Progress) -> None:
        progress.done += 1
        self._table.note(row)
        if said:
            self._tell(f"item {row.index}", said)

    def _fail(self, row: ItemRow, failure: ItemFailure, said: Sequence[Message], progress: _Progress) -> None:
        tries = progress.tries[row.index] = progress.tries.get(row.index, 0) + 1
        is_last = tries > self._spec.retries
        again = "" if is_last else " (it is tried again)"
        self._tell(f"item {row.index} failed{again}: {row.log}", said)
        if not is_last:
            progress.waiting.append(row.index)
            return
        progress.failed[row.index] = failure
        self._table.note(row)

    def _tell(self, head: str, said: Sequence[Message]) -> None:
        """Show what an item has shown, below a line that says which it was."""
        sys.stdout.write(f"--- {head}\n")
        text = "\n"
        for message in said:
            if message["type"] != "stream":
                self._channel.show(message)
                continue
            text = message["text"]
            self._channel.write(message["name"], text)
        if not text.endswith("\n"):
            sys.stdout.write("\n")

    def _mourn(self, lane: _Lane, progress: _Progress) -> None:
        """A lane has died: the item that ran has failed, what its batch had made before is made again."""
        index, since = lane.state.now
        batch, lane.batch = lane.batch, ()
        status, said = self._end(lane)
        rest = [each for each in batch if each != index]
        progress.waiting.extendleft(reversed(rest))
        if index is None:
            raise CellyardError("a process that runs items ended before it had begun one")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        text = f"its process ended with {how}"
        row = ItemRow(index, "failed", time.monotonic() - since, 0, text)
        self._fail(row, ItemFailure(index, "StepKilled", text), said.get(index, ()), progress)

    def _end(self, lane: _Lane) -> tuple[int, dict[int, list[Message]]]:
        """Close a lane; how its process has ended, and what its items had shown in a batch that has not."""
        self._lanes.pop(lane.link, None)
        lane.link.close()
        status = 0
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            found, status = os.waitpid(lane.pid, os.WNOHANG)
            if not found:
                os.kill(lane.pid, signal.SIGKILL)
                _, status = os.waitpid(lane.pid, 0)
        said = lane.tape.read()
        lane.tape.close()
        return os.waitstatus_to_exitcode(status), said

    def _fork(self) -> _Lane:
        ours, theirs = Pipe()
        state, tape = LaneState(), ItemTape(self._log_limit)
        runner = Lane(self._shell, self._cell, self._items, self._values, tries=1 + self._spec.retries)
        owner = os.getpid()
        pid = os.fork()
        if pid == 0:
            for other in (ours, *self._lanes):
                other.close()
            runner.serve(theirs, state, tape, self._channel, owner)
        theirs.close()
        lane = _Lane(pid, ours, state, tape)
        self._lanes[ours] = lane
        return lane

    # -- what comes of it

    def _error(self, progress: _Progress) -> BaseException:
        """The first failed item's own exception, where it can travel, with a note of how many failed."""
        first = progress.failed[min(progress.failed)]
        note = f"in item {first.index} of {progress.total}; {len(progress.failed)} failed, {progress.done} were done"
        note += " and need not run again" if progress.done and self._values.are_kept else ""
        told = first.told or {"traceback": [first.words]}
        self._shell.step_traceback = [*told["traceback"], note]
        self._shell.step_told = {"item": first.index, "frames": told.get("frames")}
        found: Any = None
        if told.get("exception"):
            with contextlib.suppress(Exception):  # the user's class may fail in any way to be rebuilt
                found = load(self._values.store, told["exception"], self._shell.user_ns)["exception"]
        if not isinstance(found, BaseException):
            return StepError(f"{first.words} ({note})")
        found.add_note(note)
        return found

    def _draw(self, progress: _Progress, *, first: bool = False) -> None:
        running = [(lane.state.now, lane.pid) for lane in self._lanes.values() if lane.batch]
        now = time.monotonic()
        rows = [ItemRow(index, "running", now - since, 0, "") for (index, since), _ in running if index is not None]
        data = self._table.drawn(rows, waiting=len(progress.waiting), failed=len(progress.failed), done=progress.done)
        kind = "display_data" if first else "update_display_data"
        self._channel.show(
            {"type": kind, "data": data, "metadata": {}, "transient": {"display_id": f"items-{os.getpid()}"}}
        )
