"""In a lane: the process that runs items one after the other, each with the names as they were at first."""

from __future__ import annotations

import contextlib
import contextvars
import inspect
import os
import signal
import time
import traceback
import types
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any, NoReturn

from cellyard.artifacts.exceptions import has_group, words_of
from cellyard.errors import CellyardError
from cellyard.worker.asking import Asking
from cellyard.worker.collecting import describe_error
from cellyard.worker.frames import describe_frames
from cellyard.worker.item_state import LaneState
from cellyard.worker.item_table import ItemRow
from cellyard.worker.item_tape import ItemTape
from cellyard.worker.item_values import ItemValues
from cellyard.worker.measuring import largest_objects
from cellyard.worker.memory import anonymous_memory, unshared_memory
from cellyard.worker.outputs import Channel
from cellyard.worker.processes import die_with_parent
from cellyard.worker.shell import StepShell

__all__ = ["ItemCode", "ItemFailure", "Lane", "rendered"]

_LONG = 0.25
"""Seconds from which on an item is worth a walk through the pages that it has."""


@dataclass(frozen=True, slots=True)
class ItemCode:
    """What runs for each item: the compiled cell, the name that is bound to the item, the names that the cell makes."""

    code: types.CodeType
    variable: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ItemFailure:
    """How an item has ended badly. ``told`` is its error as a step tells one; None where it will not be the step's."""

    index: int
    kind: str
    message: str
    told: dict[str, Any] | None = None

    @property
    def words(self) -> str:
        """Its type and its message, where it has one."""
        return f"{self.kind}: {self.message}" if self.message else self.kind


class Lane:
    """Runs items in a process that has been forked for them. ``tries``: how often each may be run."""

    def __init__(
        self, shell: StepShell, cell: ItemCode, items: Sequence[Any], values: ItemValues, *, tries: int = 1
    ) -> None:
        self._shell = shell
        self._cell = cell
        self._items = items
        self._values = values
        self._tries = tries
        self._state: LaneState
        self._tape: ItemTape
        self._base = 0
        self._before: dict[str, Any] = {}

    def serve(self, link: Connection, state: LaneState, tape: ItemTape, channel: Channel, owner: int) -> NoReturn:
        """Run batches until nobody asks any more; the process ends here."""
        try:
            die_with_parent(owner, signal.SIGKILL)
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            self._state, self._tape = state, tape
            self._base = anonymous_memory(os.getpid())
            channel.divert(tape.take)
            state.answer_with(self._largest)
            Asking(channel, "an item of --map has nobody to ask").install()
            self._shell.open_loop()
            while True:
                link.send(self._run_batch(*link.recv()))
        except (EOFError, BrokenPipeError):
            os._exit(0)
        except BaseException:  # noqa: BLE001 - there is nothing above it: the process is a fork of the step's
            traceback.print_exc()
            os._exit(1)

    def _run_batch(self, batch: Sequence[int], lowest: int) -> tuple[Any, list[tuple[ItemRow, ItemFailure | None]]]:
        """What was stored of the batch, and how each item went. The error of an item below ``lowest`` may become the
        step's, and is told whole."""
        values: dict[str, list[Any]] = {name: [] for name in self._cell.names}
        records: list[tuple[ItemRow, ItemFailure | None]] = []
        for index in batch:
            self._state.now = index
            row, failure, made = self._run_one(index, is_told=index < lowest)
            records.append((row, failure))
            if failure is None:
                for name in self._cell.names:
                    values[name].append(made.get(name))
            elif self._tries == 1:
                lowest = min(lowest, index)
        try:
            return self._values.stored(values), records
        except CellyardError as error:
            return error, records

    def _run_one(self, index: int, *, is_told: bool) -> tuple[ItemRow, ItemFailure | None, dict[str, Any]]:
        names = self._shell.user_ns
        before = self._before = dict(names)
        names[self._cell.variable] = self._items[index]
        self._tape.begin(index)
        began = time.monotonic()
        _forget_peak()
        error = self._run()
        failure = None if error is None else self._failure(index, error, before, is_told=is_told)
        self._shell.events.trigger("post_execute")  # figures are shown then, and are none of the next item's
        self._tape.end()
        made = {name: names[name] for name in self._cell.names if name in names}
        for name in names.keys() - before.keys():
            del names[name]
        names.update(before)
        seconds = time.monotonic() - began
        log = self._tape.last if failure is None else failure.words
        return ItemRow(index, "failed" if failure else "done", seconds, self._peak(seconds), log), failure, made

    def _run(self) -> BaseException | None:
        """Run the cell; what it has raised, with the traceback from the cell on."""
        names = self._shell.user_ns
        try:
            if self._cell.code.co_flags & inspect.CO_COROUTINE:
                self._shell._loop.run_until_complete(_awaited(eval(self._cell.code, names)))
            else:
                contextvars.copy_context().run(exec, self._cell.code, names)
        except BaseException as error:  # noqa: BLE001 - whatever it raises, an exit too, the other items go on
            trace = error.__traceback__
            while trace is not None and trace.tb_frame.f_globals is not names:
                trace = trace.tb_next
            return error.with_traceback(trace)
        return None

    def _failure(self, index: int, error: BaseException, before: dict[str, Any], *, is_told: bool) -> ItemFailure:
        kind, message = type(error).__name__, words_of(error)
        if not is_told:
            return ItemFailure(index, kind, message)
        names, store = self._shell.user_ns, self._values.store
        told: dict[str, Any] = {
            "type": kind,
            "message": message,
            "traceback": [ItemFailure(index, kind, message).words],
        }
        try:
            own = {name: value for name, value in names.items() if before.get(name, before) is not value}
            trace = rendered(self._shell, error)
            frames = describe_frames(error, names, store, own=own)
            told = describe_error(error, trace, names, store) | {"frames": frames}
        except Exception as trouble:  # noqa: BLE001 - of the user's objects, or of the store: its words must do
            told["traceback"].append(f"note: no more is known of it: {type(trouble).__name__}: {trouble}")
        return ItemFailure(index, kind, message, told)

    def _largest(self, frame: types.FrameType | None) -> list[dict[str, Any]]:
        """The largest objects of the item that runs, beside those that the step's process has, too."""
        names = self._shell.user_ns
        found = largest_objects(names, frame)
        own = [each for each in found if each["where"] or names.get(each["name"]) is not self._before.get(each["name"])]
        item = f"item {self._state.now[0]}"
        return [each | {"where": f"{each['where']} of {item}" if each["where"] else item} for each in own]

    def _peak(self, seconds: float) -> int:
        """The most memory that the item has had beside what this process shares with the step's."""
        now = unshared_memory(os.getpid()) if seconds > _LONG else 0
        return max(0, _most_resident() - self._base, now)


async def _awaited(running: Coroutine[Any, Any, Any]) -> None:
    await running


def rendered(shell: StepShell, error: BaseException) -> list[str]:
    """The traceback of a cell's error as its shell would show it."""
    kind, trace = type(error), error.__traceback__
    if has_group(error):
        return ["".join(traceback.format_exception(error)).rstrip("\n")]
    if isinstance(error, SyntaxError):
        lines = shell.SyntaxTB.structured_traceback(kind, error, traceback.extract_tb(trace))
    elif trace is None:
        lines = shell.InteractiveTB.get_exception_only(kind, error)
    else:
        lines = shell.InteractiveTB.structured_traceback(kind, error, trace, tb_offset=0)
    return [str(line) for line in lines]


def _forget_peak() -> None:
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "wb", buffering=0) as file:  # noqa: PTH123
        file.write(b"5")


def _most_resident() -> int:
    """The most memory since it was forgotten, mapped files apart; 0 where nobody knows."""
    with contextlib.suppress(OSError), open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123
        text = status.read()
        at, shared = text.find(b"VmHWM:"), text.find(b"RssFile:")
        if at >= 0 and shared >= 0:
            return max(0, _kib(text, at + 6) - _kib(text, shared + 8)) * 1024
    return 0


def _kib(text: bytes, at: int) -> int:
    return int(text[at : text.index(b"kB", at)])
