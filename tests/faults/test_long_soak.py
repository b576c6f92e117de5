"""Half an hour of steps, interrupts, failures and restarts: no process, thread, socket, file or memory is left behind
in kernel, engine or worker. Prints its table."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import astuple, dataclass, fields
from pathlib import Path

import pytest

from cellyard.worker.memory import anonymous_memory
from tests.faults.processes import dask_process_below, descendants_of, is_alive
from tests.notebooks.kernels import Kernel, Ran, kernel_at
from tests.service.engines import Home, until

MINUTES = float(os.environ.get("CELLYARD_TEST_SOAK_MINUTES", "30"))
LOOKS = 15
LONGEST = 300.0
MIB = 1 << 20
BETWEEN_KILLS = 20.0
"""Seconds. The engine gives up on a worker that dies five times in a minute."""


@dataclass(frozen=True)
class Look:
    """What one process has: memory in MiB, threads, sockets, open files; and how many processes are below it."""

    memory: int
    threads: int
    sockets: int
    files: int
    below: int


MOST_GROWTH = Look(memory=24, threads=2, sockets=4, files=8, below=2)
"""Between the first and the last third of the time, the largest of each."""


def look_at(pid: int) -> Look:
    open_files = list(_open_files(pid))
    return Look(
        memory=anonymous_memory(pid) // MIB,
        threads=len(list(Path(f"/proc/{pid}/task").iterdir())),
        sockets=sum(each.startswith("socket:") for each in open_files),
        files=len(open_files),
        below=len(descendants_of(pid)),
    )


def _open_files(pid: int) -> Iterator[str]:
    for each in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):  # closed while we looked
            yield str(each.readlink())


class Patient:
    """A kernel whose cells may take long, on a machine that has much else to do."""

    def __init__(self, kernel: Kernel) -> None:
        self.pid = kernel.pid
        self.begin, self.interrupt = kernel.begin, kernel.interrupt
        self._kernel = kernel

    def run(self, code: str) -> Ran:
        return self._kernel.run(code, timeout=LONGEST)

    def fail(self, code: str) -> Ran:
        return self._kernel.fail(code, timeout=LONGEST)

    def finish(self, id: str) -> Ran:
        return self._kernel.finish(id, timeout=LONGEST)

    def until_output(self, id: str, text: str) -> None:
        self._kernel.until_output(id, text, timeout=LONGEST)


class Soak:
    """One round after the other of everything that a person does."""

    def __init__(self, home: Home, kernel: Kernel) -> None:
        self._home = home
        self._kernel = Patient(kernel)
        self._client = home.client()
        self.rounds = 0
        self._killed = time.monotonic()

    def round(self) -> None:
        """Steps that work, a failure, an interrupt, one that nobody waits for; now and then a restart."""
        self.rounds += 1
        number, kernel = self.rounds, self._kernel
        made = kernel.run(
            f"%%step works\nimport numpy as np\nprint('line', {number})\narray = np.arange(20_000 + {number})\n"
            f"def helper(x):\n    return x + {number}\nhelper(1)"
        )
        assert made.result == str(number + 1)
        assert kernel.run("%%step reads --retries 1\nint(array[-1])").result == str(20_000 + number - 1)
        assert kernel.fail("%%step fails\n{}['missing']").error["ename"] == "KeyError"
        self._interrupt()
        kernel.run("%%step later --async\nimport time\ntime.sleep(0.05)\nlate = 1")
        assert kernel.run("late").result == "1"
        if number % 10 == 0:
            self._hungry()
        if number % 20 == 0:
            self._restart_kernel()
        if number % 30 == 0 and time.monotonic() - self._killed > BETWEEN_KILLS:
            self._kill_worker()

    def pids(self) -> dict[str, int]:
        """The processes that stay, by what they are."""
        engine = int(self._client.ensure()["pid"])
        return {"kernel": self._kernel.pid, "engine": engine, "worker": dask_process_below(engine)}

    def _interrupt(self) -> None:
        id = self._kernel.begin("%%step stopped\nimport time\nprint('up', flush=True)\ntime.sleep(60)")
        self._kernel.until_output(id, "up")
        self._kernel.interrupt()
        ran = self._kernel.finish(id)
        assert ran.error is not None
        assert ran.error["ename"] == "KeyboardInterrupt"

    def _hungry(self) -> None:
        failed = self._kernel.fail("%%step hungry --memory 60MiB\nx = bytearray(80 << 20)\nimport time\ntime.sleep(30)")
        assert failed.error["ename"] == "StepOutOfMemory"

    def _restart_kernel(self) -> None:
        """Another kernel begins a step and is killed; the next one takes the step over."""
        env = {**self._home.env, "JPY_SESSION_NAME": f"/tmp/soak{self.rounds}.ipynb"}
        cell = "%%step survivor\nimport time\nprint('up', flush=True)\ntime.sleep(1)\nkept = 5\nkept"
        with kernel_at(env) as first:
            first.until_output(first.begin(cell), "up", timeout=LONGEST)
        with kernel_at(env) as second:
            assert second.run(cell, timeout=LONGEST).result == "5"

    def _kill_worker(self) -> None:
        worker = self.pids()["worker"]
        os.kill(worker, signal.SIGKILL)
        self._killed = time.monotonic()
        until(lambda: not is_alive(worker), "the worker is dead")
        assert self._kernel.run("%%step after_kill\n1").result == "1"


@pytest.mark.long
@pytest.mark.timeout(7200)
def test_half_an_hour_of_everything_leaves_nothing_behind(kernel: Kernel, home: Home):
    soak, table = Soak(home, kernel), []
    began, every = time.monotonic(), MINUTES * 60 / LOOKS
    for _ in range(5):
        soak.round()
    for number in range(1, LOOKS + 1):
        while time.monotonic() - began < number * every:
            soak.round()
        looked = {what: look_at(pid) for what, pid in soak.pids().items()}
        table.append(looked)
        print(f"{time.monotonic() - began:6.0f} s, {soak.rounds:5} rounds", *_cells(looked), sep="  ")
    third = max(1, LOOKS // 3)
    names = [field.name for field in fields(Look)]
    for what in ("kernel", "engine", "worker"):
        early = [max(column) for column in zip(*(astuple(row[what]) for row in table[:third]), strict=True)]
        late = [max(column) for column in zip(*(astuple(row[what]) for row in table[-third:]), strict=True)]
        for name, before, after, most in zip(names, early, late, astuple(MOST_GROWTH), strict=True):
            assert after - before <= most, f"{name} of the {what}: {before} became {after}"
    assert not list(Path(home.settings.store, "tmp").iterdir())


def _cells(looked: dict[str, Look]) -> list[str]:
    return [
        f"{what} {look.memory} MiB, {look.threads} threads, {look.sockets} sockets, {look.files} files, "
        f"{look.below} below"
        for what, look in looked.items()
    ]
