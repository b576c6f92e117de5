"""What every backend promises, as one class of tests that each backend's class inherits."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import psutil
import pytest
import pytest_asyncio

from cellyard.backends.base import Backend
from cellyard.backends.registry import backend_class
from cellyard.errors import DoesNotFit, EngineError
from cellyard.model.resources import Resources
from tests.backends.submitting import Inbox, make_task, outputs

CAPACITY = Resources(cpu=2.0, memory=1 << 30, gpu=0)

pytestmark = pytest.mark.asyncio(loop_scope="class")


@pytest.fixture(scope="class")
def fresh(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Callable[[], Backend]:
    """Makes backends of the class's kind, not yet started."""
    folder = tmp_path_factory.mktemp(request.cls.backend_name)

    return lambda: request.cls.make(folder)


@pytest_asyncio.fixture(scope="class", loop_scope="class")
async def running(fresh: Callable[[], Backend]) -> AsyncIterator[tuple[Backend, Inbox]]:
    """One backend for the tests of a class that leave it alive."""
    backend, inbox = fresh(), Inbox()
    await backend.start(inbox.listen)
    yield backend, inbox
    await backend.close()


async def settled_processes() -> set[psutil.Process]:
    """The processes below this one, once the backend of the tests before no longer forks children ahead."""
    found = set(psutil.Process().children(recursive=True))
    while True:
        await asyncio.sleep(0.3)
        now = set(psutil.Process().children(recursive=True))
        if now == found:
            return now
        found = now


async def seen(backend: Backend, state: str) -> None:
    """Wait until one of its workers is in this state."""
    while state not in {each.state for each in backend.workers}:
        await asyncio.sleep(0.05)


class BackendContract:
    """Inherit it, name the backend, and all that a backend promises is tested."""

    backend_name: str
    is_always_ready = True
    """False where a worker must be made first: short steps may have ended on another by then."""

    @classmethod
    def make(cls, folder: Path) -> Backend:
        """A backend of :data:`CAPACITY`, not yet started."""
        made: Backend = backend_class(cls.backend_name)(
            store=str(folder / "store"), runtime=folder / "runtime", capacity=CAPACITY
        )
        return made

    async def test_a_step_submitted_before_a_worker_is_up_runs(self, fresh: Callable[[], Backend]) -> None:
        backend, inbox = fresh(), Inbox()
        await backend.start(inbox.listen)
        task = make_task("print('early')")
        await backend.submit(task)
        assert (await inbox.finished(task))["state"] == "succeeded"
        await backend.close()

    async def test_messages_come_in_order_and_end_with_one_finished(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("print('hello')\n6 * 7")
        await backend.submit(task)
        last = await inbox.finished(task)
        kinds = [each["kind"] for each in inbox.messages[task.token]]
        assert kinds[0] == "starting"
        assert next(each for each in kinds if each != "starting") == "started"
        assert kinds[-1] == "finished"
        assert kinds.count("started") == kinds.count("finished") == 1
        assert last["state"] == "succeeded"
        assert "hello" in outputs(inbox.messages[task.token])

    async def test_the_listener_is_called_on_the_loop_that_started_it(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("pass")
        await backend.submit(task)
        await inbox.finished(task)
        assert inbox.loops == {asyncio.get_running_loop()}

    async def test_an_exception_of_the_cell_is_told_as_it_was(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("1 / 0")
        await backend.submit(task)
        last = await inbox.finished(task)
        assert (last["state"], last["error"]["type"]) == ("failed", "ZeroDivisionError")

    async def test_any_text_arrives_even_a_lone_surrogate(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("from IPython.display import JSON, display\ndisplay({'n': 2**80})\nprint('\\u20ac')")
        await backend.submit(task)
        assert (await inbox.finished(task))["state"] == "succeeded"
        assert "€" in outputs(inbox.messages[task.token])

    async def test_much_output_arrives_whole_and_in_order(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("for i in range(2000): print(i)")
        await backend.submit(task)
        await inbox.finished(task)
        lines = outputs(inbox.messages[task.token]).split()
        assert lines[0] == "0"
        assert lines[-1] == "1999"
        assert all(int(a) < int(b) for a, b in pairwise(lines) if a.isdigit() and b.isdigit())

    async def test_an_interrupt_raises_in_the_running_cell(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("import time\nprint('begun', flush=True)\ntime.sleep(60)")
        await backend.submit(task)
        await inbox.saw(task, "output")
        async with asyncio.timeout(20):
            await seen(backend, "busy")
        await backend.interrupt(task.token)
        last = await inbox.finished(task)
        assert (last["state"], last["error"]["type"]) == ("cancelled", "KeyboardInterrupt")
        async with asyncio.timeout(20):
            await seen(backend, "idle")

    async def test_a_running_step_is_cancelled_even_if_it_refuses(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task(
            "import time\nprint('begun', flush=True)\n"
            "while True:\n    try:\n        time.sleep(60)\n    except KeyboardInterrupt:\n        pass"
        )
        await backend.submit(task)
        await inbox.saw(task, "output")
        await backend.cancel(task.token)
        assert (await inbox.finished(task))["state"] == "cancelled"

    async def test_a_step_cancelled_right_after_submit_is_cancelled(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        tasks = [make_task("import time\ntime.sleep(60)") for _ in range(6)]
        for task in tasks:
            await backend.submit(task)
            await backend.cancel(task.token)
        for task in tasks:
            assert (await inbox.finished(task))["state"] == "cancelled"

    @pytest.mark.parametrize("how", ["cancel", "interrupt"])
    async def test_a_waiting_step_is_taken_out_at_once(self, running: tuple[Backend, Inbox], how: str) -> None:
        backend, inbox = running
        large = make_task("import time\ntime.sleep(60)", cpu=2.0)
        waiting = make_task("print('never')")
        await backend.submit(large)
        await inbox.saw(large, "started")
        await backend.submit(waiting)
        await asyncio.sleep(0.05)
        before = time.perf_counter()
        await getattr(backend, how)(waiting.token)
        last = await inbox.finished(waiting)
        assert time.perf_counter() - before < 0.5
        assert last["state"] == "cancelled"
        assert len(inbox.messages[waiting.token]) == 1
        await backend.cancel(large.token)
        await inbox.finished(large)

    async def test_unknown_and_finished_tokens_are_ignored(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("pass")
        await backend.submit(task)
        await inbox.finished(task)
        for token in ("no such token", task.token):
            await backend.interrupt(token)
            await backend.cancel(token)
        await asyncio.sleep(0.05)
        assert inbox.messages[task.token][-1]["state"] == "succeeded"
        assert "no such token" not in inbox.messages

    @pytest.mark.parametrize(
        ("size", "most"),
        [(Resources(cpu=1.0), 2), (Resources(cpu=0.5, memory=600 << 20), 1), (Resources(cpu=1.5), 1)],
        ids=["cpu", "memory", "fraction"],
    )
    async def test_never_more_at_once_than_fit(
        self, running: tuple[Backend, Inbox], size: Resources, most: int
    ) -> None:
        backend, inbox = running
        tasks = [make_task("import time\ntime.sleep(0.1)", cpu=size.cpu, memory=size.memory) for _ in range(5)]
        for task in tasks:
            await backend.submit(task)
        for task in tasks:
            assert (await inbox.finished(task))["state"] == "succeeded"
        at_once = inbox.most_at_once(tasks)
        assert at_once == most if self.is_always_ready else at_once <= most

    async def test_steps_start_in_the_order_of_submission(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        tasks = [make_task("pass", cpu=2.0) for _ in range(8)]
        for task in tasks:
            await backend.submit(task)
        for task in tasks:
            await inbox.finished(task)
        assert inbox.order(tasks) == tasks

    async def test_a_large_step_is_not_passed_by_small_ones(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        first = make_task("import time\ntime.sleep(0.3)", cpu=1.0)
        large = make_task("pass", cpu=2.0)
        small = [make_task("pass", cpu=1.0) for _ in range(4)]
        tasks = [first, large, *small]
        for task in tasks:
            await backend.submit(task)
        for task in tasks:
            await inbox.finished(task)
        assert inbox.order(tasks)[:2] == [first, large]

    @pytest.mark.parametrize("size", [{"cpu": 3.0}, {"memory": 2 << 30}, {"gpu": 1}], ids=["cpu", "memory", "gpu"])
    async def test_a_step_that_can_never_fit_is_refused(
        self, running: tuple[Backend, Inbox], size: dict[str, float]
    ) -> None:
        backend, inbox = running
        task = make_task("pass", **size)
        with pytest.raises(DoesNotFit, match="2 CPU"):
            await backend.submit(task)
        await asyncio.sleep(0.05)
        assert task.token not in inbox.messages

    async def test_a_step_whose_process_dies_finishes_with_the_reason(self, running: tuple[Backend, Inbox]) -> None:
        backend, inbox = running
        task = make_task("import os, signal\nos.kill(os.getpid(), signal.SIGKILL)")
        await backend.submit(task)
        last = await inbox.finished(task)
        assert last["state"] in ("failed", "lost")
        assert "SIGKILL" in last["error"]["message"]

    async def test_the_death_of_the_step_parent_ends_its_steps_and_no_more(
        self, running: tuple[Backend, Inbox]
    ) -> None:
        backend, inbox = running
        task = make_task("import time\nprint('begun', flush=True)\ntime.sleep(60)")
        await backend.submit(task)
        started = await inbox.saw(task, "started")
        parent = psutil.Process(started["pid"]).parent()
        assert parent is not None
        parent.kill()
        assert (await inbox.finished(task))["state"] in ("failed", "lost")
        following = make_task("pass")
        await backend.submit(following)
        assert (await inbox.finished(following))["state"] == "succeeded"

    async def test_close_ends_every_step_and_leaves_no_process(self, fresh: Callable[[], Backend]) -> None:
        before = await settled_processes()
        backend, inbox = fresh(), Inbox()
        await backend.start(inbox.listen)
        runs = make_task(
            "import subprocess, time\nsubprocess.Popen(['sleep', '60'], start_new_session=True)\n"
            "print('begun', flush=True)\ntime.sleep(60)",
            cpu=2.0,
        )
        waits = make_task("pass")
        await backend.submit(runs)
        await backend.submit(waits)
        await inbox.saw(runs, "output")
        processes = set(psutil.Process().children(recursive=True)) - before
        assert processes
        await backend.close()
        assert backend.workers == ()
        for task in (runs, waits):
            assert inbox.messages[task.token][-1]["kind"] == "finished"
            assert inbox.messages[task.token][-1]["state"] in ("cancelled", "lost")
        _, alive = psutil.wait_procs(processes, timeout=5)
        assert not alive

    async def test_a_closed_backend_takes_no_step(self, fresh: Callable[[], Backend]) -> None:
        backend, inbox = fresh(), Inbox()
        await backend.start(inbox.listen)
        await backend.close()
        with pytest.raises(EngineError):
            await backend.submit(make_task("pass"))


class TestInProcess(BackendContract):
    backend_name = "in_process"


class TestDaskLocal(BackendContract):
    backend_name = "local"
