"""Events arrive in order, each once, whatever happens to connections, readers and engines."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

from cellyard.service.client import EngineClient
from tests.service.engines import Home, finished, run_step, step, until

CHATTY = "import time\nfor i in range({n}):\n    print(i, flush=True)\n    time.sleep(0.002)"


def numbers(events):
    return [each["seq"] for each in events]


def printed(events):
    outputs = [each["content"] for each in events if each["kind"] == "output"]
    return "".join(each["text"] for each in outputs if each["type"] == "stream")


def test_replay_gives_what_was_live(client: EngineClient):
    live = run_step(client, CHATTY.format(n=30))
    replayed = [each for each in client.events(run=live[0]["run"]) if each["step_id"] is not None]
    for each in live:
        each["content"].pop("private", None)
    assert replayed == live


def test_readers_that_come_at_any_time_see_the_same(client: EngineClient):
    stream = client.submit_step(step(CHATTY.format(n=300)))
    run = next(stream)["run"]
    readers: list[list[dict]] = []

    def read(since: int, seen: list[dict]) -> None:
        seen.extend(client.events(since, run=run, follow=True))

    threads = []
    for event in stream:
        if event["kind"] == "output" and len(threads) < 8:
            seen: list[dict] = []
            readers.append(seen)
            threads.append(threading.Thread(target=read, args=(0, seen)))
            threads[-1].start()
    for each in threads:
        each.join(timeout=30)
    whole = list(client.events(run=run))
    assert len(readers) == 8
    assert all(numbers(seen) == numbers(whole) for seen in readers)
    assert printed(whole) == "".join(f"{i}\n" for i in range(300))


def test_since_gives_exactly_the_rest(client: EngineClient):
    whole = numbers(run_step(client, CHATTY.format(n=20)))
    run = client.runs(limit=1)[0]["id"]
    for at in (0, 1, len(whole) // 2, len(whole) - 1):
        rest = [each["seq"] for each in client.events(whole[at], run=run) if each["step_id"] is not None]
        assert rest == whole[at + 1 :]


def test_a_stream_whose_connection_breaks_goes_on_where_it_was(client: EngineClient):
    stream = client.submit_step(step(CHATTY.format(n=200), name="broken"))
    events = []
    for event in stream:
        events.append(event)
        if len(events) % 10 == 0 and stream._opened is not None:
            stream._opened[0].close()
    assert printed(events) == "".join(f"{i}\n" for i in range(200))
    assert numbers(events) == sorted(set(numbers(events)))
    assert finished(events)["private"], "the step's own face gets the private part also after a broken connection"


@contextlib.contextmanager
def interrupted_every(seconds: float) -> Iterator[list[bool]]:
    """Ctrl-C again and again, while what is given holds True: one that strikes takes it back."""
    wanted = [False]
    ended = threading.Event()

    def strike(*_: object) -> None:
        if wanted[0]:
            wanted[0] = False
            raise KeyboardInterrupt

    def press() -> None:
        while not ended.wait(seconds):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.signal(signal.SIGINT, strike)
    pressing = threading.Thread(target=press)
    pressing.start()
    try:
        yield wanted
    finally:
        ended.set()
        pressing.join()
        signal.signal(signal.SIGINT, before)


@pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")  # struck between being made and having a name
def test_an_interrupted_reader_loses_nothing(client: EngineClient):
    stream = client.submit_step(step(CHATTY.format(n=300), name="reader"))
    events = []
    interrupts = 0
    with interrupted_every(0.01) as wanted:
        while not stream.ended:
            try:
                wanted[0] = True
                # Not next(): what it returns could be lost to a Ctrl-C here, before it has a name.
                for event in stream:
                    events.append(event)
            except KeyboardInterrupt:
                interrupts += 1
        wanted[0] = False
    assert interrupts > 5, "the fault happened"
    assert printed(events) == "".join(f"{i}\n" for i in range(300))
    assert numbers(events) == sorted(set(numbers(events)))


def test_the_stream_of_all_runs_follows_until_it_is_closed(client: EngineClient):
    since = list(client.events(run=run_step(client, "pass")[0]["run"]))[-1]["seq"]
    with client.events(since, follow=True) as everything:
        mine = numbers(run_step(client, "print('now')"))
        seen = [next(everything)["seq"] for _ in mine]
    assert seen == mine


def test_a_connection_serves_one_request_after_the_other(shared: Home):
    client = shared.client()
    for _ in range(3):
        run_step(client, "pass")
        client.runs(limit=1)
    assert len(client._idle) == 1


def test_a_killed_kernel_does_not_end_its_step(shared: Home, client: EngineClient, tmp_path):
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL.format(mark=str(tmp_path / "going"))],
        env=shared.process_env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert kernel.stdout is not None
    run = int(kernel.stdout.readline())
    until((tmp_path / "going").exists, "the step runs")
    kernel.kill()
    kernel.communicate()
    assert client.run(run)["state"] in ("queued", "running"), "the kernel died in mid-step"
    events = list(client.events(run=run, follow=True))
    assert events[-1]["content"]["state"] == "succeeded"
    assert printed(events) == "begun\nended\n"
    assert client.steps(run)[0]["outputs"]


KERNEL = """
from cellyard.model import StepRequest
from cellyard.service.client import EngineClient
source = '''import pathlib, time
print('begun', flush=True)
pathlib.Path({mark!r}).touch()
time.sleep(1.5)
print('ended')
x = 1'''
stream = EngineClient().submit_step(StepRequest(notebook='n', session='k', name='s', source=source).to_dict())
print(next(stream)['run'], flush=True)
list(stream)
"""


def test_a_killed_engine_loses_the_step_and_says_so(home: Home):
    client = home.client()
    kept = run_step(client, "x = 1")
    stream = client.submit_step(step("import time\nprint('going', flush=True)\ntime.sleep(60)", name="doomed"))
    events = []
    for event in stream:
        events.append(event)
        if event["kind"] == "output":
            assert home.kill_engine()
    end = finished(events)
    assert (end["state"], end["error"]["type"]) == ("lost", "WorkerLost")
    assert numbers(events) == sorted(set(numbers(events)))
    assert client.run(events[0]["run"])["state"] == "lost"
    assert client.run(kept[0]["run"])["state"] == "succeeded", "what had been committed stays"
    assert finished(run_step(client, "1", name="doomed"))["state"] == "succeeded"


def test_a_run_whose_owner_lives_goes_on_with_the_next_engine(home: Home):
    client = home.client()
    run = client.create_run(notebook="long.ipynb")["id"]
    run_step(client, "1", name="before", run=run)
    home.kill_engine()
    assert finished(run_step(client, "2", name="after", run=run))["state"] == "succeeded"
    assert [each["name"] for each in client.steps(run)] == ["before", "after"]
    assert client.finish_run(run, state="succeeded")["history"] == ["running", "succeeded"]
