"""A hundred kills, of step processes, workers, engines and kernels, at random moments while notebooks of twenty steps
run: nothing that was committed is lost, and nothing that has succeeded is run again."""

from __future__ import annotations

import contextlib
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest

from cellyard.artifacts.store import open_store
from cellyard.service.lifecycle import log_tail
from tests.faults.killers import TOLD, Killer
from tests.faults.processes import command_of, descendants_of, is_alive
from tests.notebooks.kernels import Kernel, kernel_at
from tests.service.engines import Home

KILLS = int(os.environ.get("CELLYARD_TEST_KILLS", "100"))
STEPS = 20
LONGEST = 300
"""Seconds that a cell may take on a machine that has much else to do."""
MOST_TRIES = 40


class Died(Exception):
    """The kernel is no longer there."""


class NotebookKiller(Killer):
    """Kills step processes, workers, the engine or the kernel, until it has done so often enough."""

    def __init__(self, home: Home, seed: int) -> None:
        super().__init__(home, seed)
        self.kernel = 0
        self.killed: Counter[str] = Counter()

    @property
    def is_done(self) -> bool:
        return self.killed.total() >= KILLS

    def strike(self, engine: int) -> None:
        kind = self.random.choice(["child", "child", "worker", "engine", "kernel"])
        victims = [each for each in self._victims(kind, engine) if each]
        if not victims:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.random.choice(victims), signal.SIGKILL)
            self.killed[kind] += 1

    def _victims(self, kind: str, engine: int) -> list[int]:
        if kind in ("engine", "kernel"):
            return [engine if kind == "engine" else self.kernel]
        wanted = "worker.parent" if kind == "child" else "dask_local.host"
        return [pid for pid in sorted(descendants_of(engine)) if wanted in command_of(pid)]


class Notebook:
    """One notebook, its kernel, and how it goes on when that is killed."""

    def __init__(self, home: Home, killer: NotebookKiller, folder: Path, number: int) -> None:
        self.path = str(folder / f"notebook{number}.ipynb")
        self._home = home
        self._killer = killer
        self._marks = folder / f"marks{number}"
        self._marks.mkdir()
        self._stack = contextlib.ExitStack()
        self._kernel: Kernel | None = None
        self._is_ready = False
        self.told: list[str] = []
        self.said = ""
        self.restarts = 0

    def run(self) -> None:
        """Run all cells, each as often as it takes."""
        for number in range(STEPS):
            self._carry_out(number)
        self._stack.close()

    def begins(self, number: int) -> int:
        """How often a process has begun this step's code."""
        mark = self._marks / f"s{number}"
        return len(mark.read_text()) if mark.exists() else 0

    def _cell(self, number: int) -> str:
        before = f"sum(v{number - 1})" if number else "0"
        return (
            f"%%step s{number}\nimport time\nwith open({str(self._marks / f's{number}')!r}, 'a') as mark:\n"
            f"    mark.write('x')\ntime.sleep(0.15)\nv{number} = [{before}, *range(20_000)]\nlen(v{number})"
        )

    def _carry_out(self, number: int) -> None:
        for _ in range(MOST_TRIES):
            try:
                error = self._try(number)
            except Died:
                self._stack.close()
                self._kernel = None
                continue
            if error is None:
                return
            self.told.append(error)
            if error == "EngineError":  # a worker that dies again and again is given a rest
                time.sleep(5)
        found = [(s["id"], s["name"], s["state"]) for s in self._home.client().notebook_steps(self.path)]
        tries = f"{self.told[-MOST_TRIES:]}; at last: {self.said}; {found}"
        log = log_tail(self._home.settings, lines=60)
        raise AssertionError(f"step {number} did not succeed in {MOST_TRIES} tries: {tries}\n{log}")

    def _try(self, number: int) -> str | None:
        if self._kernel is None:
            self._kernel, self._is_ready = self._started(), number == 0
        if not self._is_ready:
            # What an earlier kernel had is in the store, under its step's name.
            failed = self._execute(
                "import cellyard\n"
                f"steps = {{step.name: step for step in cellyard.History().steps({self.path!r})}}\n"
                f"v{number - 1} = steps['s{number - 1}']['v{number - 1}']"
            )
            if failed is not None:  # the engine was hit
                return failed
            self._is_ready = True
        return self._execute(self._cell(number))

    def _started(self) -> Kernel:
        self.restarts += 1
        env = {**self._home.env, "JPY_SESSION_NAME": self.path}
        kernel = self._stack.enter_context(kernel_at(env, load=False))
        self._killer.kernel = kernel.pid
        self._kernel = kernel
        assert self._execute("%load_ext kernel_magics") is None, self.said
        return kernel

    def _execute(self, source: str) -> str | None:
        """The name of the error that a cell ended with; None when it succeeded. Raises Died."""
        assert self._kernel is not None
        client, id = self._kernel.client, self._kernel.begin(source)
        error = None
        for message in self._messages(id):
            if message["msg_type"] == "error":
                error, self.said = message["content"]["ename"], message["content"]["evalue"]
        while True:
            try:
                reply = client.get_shell_msg(timeout=0.5)
                if reply["parent_header"].get("msg_id") == id:
                    # What a magic that is not there prints is no error to followers of the output.
                    return error or reply["content"].get("ename")
            except Empty:
                self._check_alive()

    def _messages(self, id: str) -> Iterator[dict]:
        assert self._kernel is not None
        deadline = time.monotonic() + LONGEST
        while time.monotonic() < deadline:
            try:
                message = self._kernel.client.get_iopub_msg(timeout=0.5)
            except Empty:
                self._check_alive()
                continue
            if message["parent_header"].get("msg_id") != id:
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                return
            yield message
        raise AssertionError(f"a cell took longer than {LONGEST} s; {self._killer.killed}")

    def _check_alive(self) -> None:
        assert self._kernel is not None
        if not is_alive(self._kernel.pid):
            raise Died


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_nothing_committed_is_lost_and_nothing_that_succeeded_runs_again(home: Home, tmp_path: Path):
    seed = int(os.environ.get("CELLYARD_TEST_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}")
    killer = NotebookKiller(home, seed)
    home.client().ensure()
    notebooks: list[Notebook] = []
    killer.start()
    while not killer.is_done or not notebooks:
        notebooks.append(Notebook(home, killer, tmp_path, len(notebooks)))
        notebooks[-1].run()
    killer.end()
    told = Counter(error for notebook in notebooks for error in notebook.told)
    restarts = sum(notebook.restarts for notebook in notebooks) - len(notebooks)
    print(
        f"{dict(killer.killed)} killed in {len(notebooks)} notebooks; {dict(told)} told, {restarts} kernels restarted"
    )
    assert killer.killed.total() >= KILLS
    assert set(killer.killed) == {"child", "worker", "engine", "kernel"}
    assert set(told) <= TOLD

    client = home.client()
    for notebook in notebooks:
        steps = [s for run in client.runs(limit=10_000, notebook=notebook.path) for s in client.steps(run["id"])]
        for number in range(STEPS):
            of_cell = [step for step in steps if step["name"] == f"s{number}"]
            succeeded = [step for step in of_cell if step["state"] == "succeeded"]
            assert len(succeeded) == 1, (notebook.path, number, [s["state"] for s in of_cell])
            assert notebook.begins(number) <= len(of_cell), (notebook.path, number)
    damaged = [error for _, error in open_store(home.settings.store).verify() if error is not None]
    assert not damaged
