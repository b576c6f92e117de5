"""A step that goes on without the engine that began it keeps what was said of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cellyard.backends.base import Listener, StepTask
from cellyard.backends.in_process import InProcessBackend
from cellyard.execution.hub import Event, Hub
from cellyard.execution.journal import Journal
from cellyard.execution.recovery import recover
from cellyard.execution.routing import Routes
from cellyard.execution.runner import Runner
from cellyard.model import Resources, StepRequest, StepState, parse_step_line
from cellyard.records import AttemptEnd, StepRecord, open_records

pytestmark = pytest.mark.asyncio


class Outliving(InProcessBackend):
    """Its steps go on when an engine ends; the next one is told what comes from then on."""

    async def start(self, listener: Listener) -> None:
        if self._pool is None:
            await super().start(listener)
        self._listener = listener

    async def attach(self, task: StepTask, number: int) -> None:
        """It has it."""


def engine(folder: Path, backend: Outliving) -> Runner:
    journal = Journal(lambda: open_records(f"sqlite:///{folder}/records.sqlite"))
    routes = Routes("in_process", backend, lambda name: backend, lambda name: True)
    return Runner(routes=routes, journal=journal, hub=Hub())


async def step_of(runner: Runner, id: int, state: str) -> StepRecord:
    async with asyncio.timeout(20):
        while (step := await runner.journal.read(lambda records: records.step(id))).state != state:
            await asyncio.sleep(0.02)
    return step


async def test_its_timeout_still_counts_from_its_beginning(tmp_path: Path) -> None:
    backend = Outliving(
        store=str(tmp_path / "store"), runtime=tmp_path / "runtime", capacity=Resources(cpu=1.0, memory=1 << 30)
    )
    first = engine(tmp_path, backend)
    await first.journal.start()
    await first.start()
    options = parse_step_line("long --timeout 2s")
    request = StepRequest(
        notebook="n.ipynb", session="s", name="long", source="import time; time.sleep(60)", options=options
    )
    accepted = await first.submit(request, "a-handle")
    await step_of(first, accepted.live.step_id, "running")
    accepted.live.stop_timers()
    await first.journal.close()

    second = engine(tmp_path, backend)
    await second.journal.start()
    await second.start()
    try:
        ended = await step_of(second, accepted.live.step_id, "failed")
        assert ended.error is not None
        assert ended.error["type"] == "StepTimeout"
        assert ended.seconds is not None
        assert 1.9 < ended.seconds < 4
    finally:
        await second.close()
        await second.journal.close()


async def test_that_it_has_begun_is_known_from_its_events_where_the_engine_ended_right_after(tmp_path: Path) -> None:
    backend = Outliving(store=str(tmp_path / "store"), runtime=tmp_path / "runtime", capacity=Resources(cpu=1.0))
    runner = engine(tmp_path, backend)
    journal = runner.journal
    await journal.start()
    request = StepRequest(notebook="n.ipynb", session="s", name="long", source="1", options=parse_step_line("long"))
    opened = await journal.write(lambda records: records.open_step(request, token="t"))
    started = {"state": "running", "worker": "w", "pid": 7, "attempt": 1, "number": 3}
    event = Event(1, opened.run_id, "long", opened.step_id, 1, 5.0, "state", started)
    await journal.write(lambda records: records.append_events([event]))
    try:
        [survivor] = await recover(runner.hub, journal, runner.runs, lambda step: True)
        assert (survivor.number, survivor.step.state) == (3, "running")
        assert (survivor.step.started, survivor.step.worker, survivor.step.pid) == (5.0, "w", 7)
        end = AttemptEnd(token="t", state=StepState.SUCCEEDED)
        assert await journal.write(lambda records: records.finish_step(end))
    finally:
        await journal.close()
