"""What should never happen inside the engine happens: the step ends with an error that says so, and nothing waits."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from cellyard.backends.in_process import InProcessBackend
from cellyard.execution.hub import Hub
from cellyard.execution.journal import Journal
from cellyard.execution.routing import Routes
from cellyard.execution.runner import Runner
from cellyard.model import Resources, StepRequest
from cellyard.records import open_records

pytestmark = pytest.mark.asyncio

REQUEST = StepRequest(notebook="n.ipynb", session="s", name="broken", source="1 + 1")


@pytest_asyncio.fixture
async def runner(tmp_path) -> AsyncIterator[Runner]:
    journal = Journal(lambda: open_records(f"sqlite:///{tmp_path}/records.sqlite"))
    backend = InProcessBackend(
        store=str(tmp_path / "store"), runtime=tmp_path / "runtime", capacity=Resources(cpu=1.0, memory=1 << 30)
    )
    routes = Routes("in_process", backend, lambda name: backend, lambda step, name: False)
    runner = Runner(routes=routes, journal=journal, hub=Hub())
    await journal.start()
    await runner.start()
    yield runner
    await runner.close()
    await journal.close()


async def end_of(runner: Runner) -> dict[str, object]:
    """A step from request to end, within seconds."""
    async with asyncio.timeout(10):
        accepted = await runner.submit(REQUEST, "a-handle")
        async for slot in accepted.events or ():
            if slot.event is not None and slot.event.kind == "finished":
                break
        while runner.busy:
            await asyncio.sleep(0.01)
    return (await runner.journal.read(lambda records: records.step(accepted.live.step_id))).to_dict()


BROKEN = {
    "told": "cellyard.execution.telling.Teller.step",
    "dispatched": "cellyard.backends.in_process.InProcessBackend.submit",
    "concluded": "cellyard.execution.runner.explained",
}


@pytest.mark.parametrize("place", BROKEN)
async def test_a_step_ends_whatever_breaks_on_its_way(runner, monkeypatch, caplog, place):
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    monkeypatch.setattr(BROKEN[place], broken)
    step = await end_of(runner)
    assert step["state"] == "failed"
    assert step["error"]["type"] == "EngineError"
    assert "the engine failed at step 'broken': ZeroDivisionError: a mistake of ours" in step["error"]["message"]
    assert "a mistake of ours" in caplog.text, "the log has the traceback"


async def test_a_step_whose_very_end_breaks_gives_its_name_free(runner, monkeypatch):
    def broken(*args: object, **kwargs: object) -> None:
        raise ZeroDivisionError("a mistake of ours")

    with monkeypatch.context() as faulty:
        faulty.setattr("cellyard.execution.runner.finished_content", broken)
        async with asyncio.timeout(10):
            await runner.submit(REQUEST, "first")
            while runner.busy:
                await asyncio.sleep(0.01)
    assert (await end_of(runner))["state"] == "succeeded"


async def test_an_end_that_the_records_do_not_have_is_told_as_lost(runner, monkeypatch, caplog):
    monkeypatch.setattr("cellyard.records.Records.finish_step", lambda *_: False)
    async with asyncio.timeout(10):
        accepted = await runner.submit(REQUEST, "a-handle")
        told = [slot.event async for slot in _until_finished(accepted.events)]
    assert told[-1].content["state"] == "lost"
    assert told[-1].content["error"]["type"] == "WorkerLost"
    assert not told[-1].content["outputs"]
    assert "did not take the end of step broken" in caplog.text


async def _until_finished(events):
    async for slot in events:
        yield slot
        if slot.event is not None and slot.event.kind == "finished":
            return
