"""Items: a cell that runs once for each item of a list (``--map part=parts``), in batches in forked processes.

The step's process, which has all inputs loaded, forks a few lanes; each runs one item after the other, with the names
as they were at first, and stores what a batch has made. A lane that dies costs the item that was running in it.
"""

from __future__ import annotations

import contextlib
import io
import mmap
import os
import pickle
import signal
import struct
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any

from cellyard.analysis import analyze
from cellyard.errors import CellyardError, StepError
from cellyard.worker.item_table import ItemRow, ItemTable
from cellyard.worker.item_values import ItemValues
from cellyard.worker.processes import die_with_parent

__all__ = ["MapSpec", "run_items"]

_BATCH_SECONDS = 0.25
_MOST_IN_BATCH = 500
_MOST_LOG = 2000
_TICK = 0.5
_NOTHING = -1
_STATE = struct.Struct("qd")
"""What a lane does now: the item's index, and since when."""


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
class _Failure:
    """How an item has ended badly."""

    index: int
    kind: str
    message: str
    trace: list[str]
    error: bytes = b""


@dataclass(slots=True)
class _Lane:
    """One process, and the batch that it has."""

    pid: int
    link: Connection
    state: mmap.mmap
    batch: Sequence[int] = ()

    @property
    def now(self) -> tuple[int, float]:
        """The item that runs, and since when."""
        index, since = _STATE.unpack_from(self.state)
        return int(index), float(since)


@dataclass(slots=True)
class _Progress:
    """What is left to do and what has been done."""

    waiting: deque[int]
    total: int
    tries: dict[int, int] = field(default_factory=dict)
    failed: dict[int, _Failure] = field(default_factory=dict)
    seconds: float = 0.001
    done: int = 0


def run_items(
    shell: Any, source: str, spec: MapSpec, values: ItemValues, show: Callable[[Mapping[str, Any]], None]
) -> BaseException | None:
    """Run the cell for each item, except those of which ``values`` has what they made. Afterwards each name that it
    writes is the list of its values, in the items' order (None where an item has failed, or has not bound it). Returns
    the error of the step, if too many items failed.

    ``show`` is given the messages that show a table of the items. KeyboardInterrupt ends all lanes and goes on.
    """
    runner = _Items(shell, source, spec, values, show)
    try:
        return runner.run()
    finally:
        runner.end_lanes()


class _Items:
    def __init__(
        self, shell: Any, source: str, spec: MapSpec, values: ItemValues, show: Callable[[Mapping[str, Any]], None]
    ) -> None:
        self._shell = shell
        self._spec = spec
        self._values = values
        self._show = show
        python = shell.transform_cell(source)
        facts = analyze(python)
        made = facts.writes - facts.imports - facts.functions.keys() - {spec.variable}
        self._names = tuple(sorted(name for name in made if not name.startswith("__")))
        file = shell.compile.cache(python, raw_code=source)
        self._code = compile(python, file, "exec")
        self._items: list[Any] = []
        self._lanes: dict[Connection, _Lane] = {}
        self._table: ItemTable

    def run(self) -> BaseException | None:
        names = self._shell.user_ns
        try:
            self._items = list(eval(self._spec.items, names))
        except Exception as error:  # noqa: BLE001 - whatever the user's expression raises is the step's error
            self._shell.step_traceback = traceback.format_exception(error)
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
        names.update(self._values.gathered(self._names, progress.total))
        return None

    def end_lanes(self) -> None:
        """No lane is left."""
        for lane in list(self._lanes.values()):
            self._end(lane)

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
                self.end_lanes()

    def _give(self, lane: _Lane, progress: _Progress) -> None:
        """The lane's next batch; its end, where nothing waits."""
        fair = max(1, len(progress.waiting) // (2 * self._spec.lanes))
        size = 1 if self._spec.isolate else min(_MOST_IN_BATCH, fair, max(1, int(_BATCH_SECONDS / progress.seconds)))
        lane.batch = [progress.waiting.popleft() for _ in range(min(size, len(progress.waiting)))]
        if not lane.batch:
            self._end(lane)
            return
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # its death is heard next
            lane.link.send(lane.batch)

    def _hear(self, lane: _Lane, progress: _Progress) -> None:
        try:
            stored, records = lane.link.recv()
        except (EOFError, ConnectionResetError):
            self._mourn(lane, progress)
            return
        if isinstance(stored, CellyardError):
            raise stored
        made = []
        for row, failure in records:
            progress.seconds += (row.seconds - progress.seconds) / 8
            if failure is None:
                made.append(row.index)
                self._settle(row, progress)
            else:
                self._fail(row, failure, progress)
        if made:
            self._values.made(made, stored)
        lane.batch = ()
        if self._spec.isolate:
            self._end(lane)
        else:
            self._give(lane, progress)

    def _settle(self, row: ItemRow, progress: _Progress) -> None:
        progress.done += 1
        self._table.note(row)
        if progress.total <= ItemTable.MOST_SHOWN and row.log:
            sys.stdout.write(row.log)

    def _fail(self, row: ItemRow, failure: _Failure, progress: _Progress) -> None:
        tries = progress.tries[row.index] = progress.tries.get(row.index, 0) + 1
        if tries <= self._spec.retries:
            progress.waiting.append(row.index)
            return
        progress.failed[row.index] = failure
        self._table.note(row)

    def _mourn(self, lane: _Lane, progress: _Progress) -> None:
        """A lane has died: the item that ran has failed, what its batch had made before is made again."""
        index, since = lane.now
        status = self._end(lane)
        rest = [each for each in lane.batch if each != index]
        progress.waiting.extendleft(reversed(rest))
        if index == _NOTHING:
            raise CellyardError("a process that runs items ended before it had begun one")
        how = f"signal {signal.Signals(-status).name}" if status < 0 else f"exit code {status}"
        text = f"its process ended with {how}"
        row = ItemRow(index, "failed", time.monotonic() - since, 0, text)
        self._fail(row, _Failure(index, "StepKilled", text, [f"StepKilled: {text}"]), progress)

    def _end(self, lane: _Lane) -> int:
        """Close a lane; how its process has ended."""
        self._lanes.pop(lane.link, None)
        lane.link.close()
        status = 0
        with contextlib.suppress(ProcessLookupError, ChildProcessError):
            found, status = os.waitpid(lane.pid, os.WNOHANG)
            if not found:
                os.kill(lane.pid, signal.SIGKILL)
                _, status = os.waitpid(lane.pid, 0)
        return os.waitstatus_to_exitcode(status)

    # -- in a lane

    def _fork(self) -> _Lane:
        ours, theirs = Pipe()
        state = mmap.mmap(-1, _STATE.size)
        _STATE.pack_into(state, 0, _NOTHING, 0.0)
        owner = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._serve(theirs, state, owner)
        theirs.close()
        lane = _Lane(pid, ours, state)
        self._lanes[ours] = lane
        return lane

    def _serve(self, link: Connection, state: mmap.mmap, owner: int) -> None:
        """Run batches until nobody asks any more; the process ends here."""
        try:
            die_with_parent(owner, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            for other in self._lanes:
                other.close()
            while True:
                link.send(self._run_batch(link.recv(), state))
        except (EOFError, BrokenPipeError):
            os._exit(0)
        except BaseException:  # noqa: BLE001 - there is nothing above it: the process is a fork of the step's
            traceback.print_exc()
            os._exit(1)

    def _run_batch(self, batch: Sequence[int], state: mmap.mmap) -> tuple[Any, list[tuple[ItemRow, _Failure | None]]]:
        values: dict[str, list[Any]] = {name: [] for name in self._names}
        records: list[tuple[ItemRow, _Failure | None]] = []
        for index in batch:
            _STATE.pack_into(state, 0, index, time.monotonic())
            row, failure, made = self._run_one(index)
            records.append((row, failure))
            if failure is None:
                for name in self._names:
                    values[name].append(made.get(name))
        try:
            return self._values.stored(values), records
        except CellyardError as error:
            return error, records

    def _run_one(self, index: int) -> tuple[ItemRow, _Failure | None, dict[str, Any]]:
        names = self._shell.user_ns
        before = dict(names)
        names[self._spec.variable] = self._items[index]
        text = io.StringIO()
        failure = None
        began = time.monotonic()
        _forget_peak()
        with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
            try:
                exec(self._code, names)
            except Exception as error:  # noqa: BLE001 - whatever it raises, the other items go on
                failure = _failure(index, error)
        made = {name: names[name] for name in self._names if name in names}
        for name in names.keys() - before.keys():
            del names[name]
        names.update(before)
        seconds = time.monotonic() - began
        log = text.getvalue()[-_MOST_LOG:] if failure is None else f"{failure.kind}: {failure.message}"
        return ItemRow(index, "failed" if failure else "done", seconds, _peak(), log), failure, made

    # -- what comes of it

    def _error(self, progress: _Progress) -> BaseException:
        """The first failed item's own exception, where it can travel, with a note of how many failed."""
        first = progress.failed[min(progress.failed)]
        note = f"in item {first.index} of {progress.total}; {len(progress.failed)} failed, {progress.done} were done"
        note += " and need not run again" if progress.done and self._values.are_kept else ""
        self._shell.step_traceback = [*first.trace, note]
        found: Any = None
        with contextlib.suppress(Exception):  # its class may be one of this cell alone
            found = pickle.loads(first.error) if first.error else None
        if not isinstance(found, BaseException):
            return StepError(f"{first.kind}: {first.message} ({note})")
        found.add_note(note)
        return found

    def _draw(self, progress: _Progress, *, first: bool = False) -> None:
        running = [(lane.now, lane.pid) for lane in self._lanes.values() if lane.batch]
        now = time.monotonic()
        rows = [ItemRow(index, "running", now - since, 0, "") for (index, since), _ in running if index != _NOTHING]
        data = self._table.drawn(rows, waiting=len(progress.waiting), failed=len(progress.failed), done=progress.done)
        kind = "display_data" if first else "update_display_data"
        self._show({"type": kind, "data": data, "metadata": {}, "transient": {"display_id": f"items-{os.getpid()}"}})


def _failure(index: int, error: Exception) -> _Failure:
    trace = traceback.format_exception(type(error), error, error.__traceback__ and error.__traceback__.tb_next)
    packed = b""
    with contextlib.suppress(Exception):  # then its words must do
        packed = pickle.dumps(error)
    return _Failure(index, type(error).__name__, str(error), trace, packed)


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb", buffering=0) as file:  # noqa: PTH123
        file.write(b"5")


def _peak() -> int:
    """The most memory since it was forgotten, mapped files apart; 0 where nobody knows."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123
        text = status.read()
        at, shared = text.find(b"VmHWM:"), text.find(b"RssFile:")
        if at >= 0 and shared >= 0:
            return max(0, _kib(text, at + 6) - _kib(text, shared + 8)) * 1024
    return 0


def _kib(text: bytes, at: int) -> int:
    return int(text[at : text.index(b"kB", at)])
