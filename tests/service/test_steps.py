"""Steps through the engine's API: events in order, sizes, names, stopping, trying again."""

from __future__ import annotations

import os
import random
import signal
import sqlite3
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing

import pytest

from cellyard.errors import DoesNotFit, NotFound, StepAlreadyRunning, StepCancelled, UsageError
from cellyard.service.client import EngineClient, StepStream
from tests.service.engines import Home, finished, run_step, step, until, until_it_runs

SLOW = "import time; time.sleep(60)"
DEAF = "import signal, time\nsignal.signal(signal.SIGINT, signal.SIG_IGN)"
FAILS_TWICE = """
import pathlib
tries = pathlib.Path({path!r})
tries.write_text(tries.read_text() + 'x' if tries.exists() else 'x')
assert tries.read_text() == 'xxx'
"""


def kinds(events):
    return [each["kind"] for each in events]


def text(events, name="stdout"):
    outputs = [each["content"] for each in events if each["kind"] == "output"]
    return "".join(each["text"] for each in outputs if each["type"] == "stream" and each["name"] == name)


def test_a_step_is_accepted_runs_speaks_and_finishes(client: EngineClient):
    events = run_step(client, "print('hello')\nx = 6 * 7", name="first")
    assert (kinds(events)[0], kinds(events)[-1]) == ("accepted", "finished")
    assert "state" in kinds(events)
    assert text(events) == "hello\n"
    assert finished(events)["state"] == "succeeded"
    assert [each["names"] for each in finished(events)["outputs"]] == [["x"]]
    assert [each["seq"] for each in events] == sorted({each["seq"] for each in events})


def test_it_leaves_a_record_with_size_time_and_process(client: EngineClient):
    events = run_step(client, "x = 1", name="recorded", line="--memory 1GiB")
    [found] = client.steps(events[0]["run"])
    assert (found["name"], found["state"], found["history"]) == (
        "recorded",
        "succeeded",
        ["queued", "running", "succeeded"],
    )
    assert found["resources"] == {"cpu": 1.0, "memory": 1 << 30, "gpu": 0}
    assert found["pid"] == next(each["content"]["pid"] for each in events if each["kind"] == "state")
    assert found["seconds"] is not None
    run = client.run(events[0]["run"])
    assert (run["kind"], run["state"], run["history"]) == ("cell", "succeeded", ["queued", "running", "succeeded"])


def test_it_is_known_when_a_step_was_given_to_a_worker_and_that_it_starts(client: EngineClient):
    events = run_step(client, "import os\nprint(os.getppid())")
    [ran] = client.steps(events[0]["run"])
    assert ran["created"] <= ran["given"] <= ran["started"]
    parent = int(text(events))
    # It forks no more children; one that was ready may still take the next step.
    os.kill(parent, signal.SIGSTOP)
    for _ in range(3):
        stream = client.submit_step(step("pass"))
        event = next(each for each in stream if each["kind"] != "accepted")
        if event["kind"] == "starting":
            break
        list(stream)
    [waits] = client.steps(event["run"])
    os.kill(parent, signal.SIGCONT)
    assert (event["kind"], waits["state"], waits["given"]) == ("starting", "queued", event["content"]["given"])
    list(stream)
    [ran] = client.steps(event["run"])
    assert ran["given"] == waits["given"] < ran["started"] - 0.4


def test_an_exception_of_its_own_fails_the_step_and_its_run(client: EngineClient):
    events = run_step(client, "1 / 0")
    assert finished(events)["state"] == "failed"
    assert finished(events)["error"]["type"] == "ZeroDivisionError"
    assert client.run(events[0]["run"])["state"] == "failed"


def test_more_cpu_than_there_is_is_capped_with_a_note(client: EngineClient):
    events = run_step(client, "pass", line="--cpu 64")
    assert events[0]["content"]["resources"]["cpu"] == 2.0
    assert "note: --cpu 64 is more than there is here" in text(events, "stderr")


def test_memory_that_never_fits_is_refused_before_anything_runs(client: EngineClient):
    before = client.runs(limit=1)
    with pytest.raises(DoesNotFit, match="4 GiB"):
        run_step(client, "pass", line="--memory 1000GiB")
    assert client.runs(limit=1) == before


def test_with_fit_it_gets_what_there_is(client: EngineClient):
    events = run_step(client, "pass", line="--memory 1000GiB --fit")
    assert events[0]["content"]["resources"]["memory"] == 4 << 30
    assert finished(events)["state"] == "succeeded"


def test_a_backend_that_is_not_there_is_refused(client: EngineClient):
    with pytest.raises(UsageError, match="mars"):
        run_step(client, "pass", line="--on mars")


def test_two_live_steps_of_one_name_in_one_notebook_are_refused(client: EngineClient):
    stream = client.submit_step(step(SLOW, name="twin"))
    run = next(stream)["run"]
    with pytest.raises(StepAlreadyRunning, match=f"run {run}"):
        run_step(client, "pass", name="twin")
    assert finished(run_step(client, "pass", name="other"))["state"] == "succeeded"
    assert finished(run_step(client, "pass", name="twin", session="another kernel"))["state"] == "succeeded"
    stream.cancel()
    assert finished(list(stream))["state"] == "cancelled"
    assert finished(run_step(client, "pass", name="twin"))["state"] == "succeeded"


def test_interrupt_raises_keyboard_interrupt_in_the_step(client: EngineClient):
    stream = client.submit_step(step(SLOW, name="interrupted"))
    until_it_runs(stream)
    time.sleep(0.3)
    stream.interrupt()
    assert finished(list(stream))["error"]["type"] == "KeyboardInterrupt"


def test_cancel_ends_a_step_that_ignores_interrupts(client: EngineClient):
    source = f"{DEAF}\nprint('deaf', flush=True)\ntime.sleep(60)"
    stream = client.submit_step(step(source, name="deaf"))
    for event in stream:
        if event["kind"] == "output":
            break
    stream.cancel()
    end = finished(list(stream))
    assert (end["state"], end["error"]["type"]) == ("cancelled", "StepCancelled")


def test_a_timeout_interrupts_first(client: EngineClient):
    source = "import time\ntry:\n    time.sleep(60)\nexcept KeyboardInterrupt:\n    print('tidied up')\n    raise"
    events = run_step(client, source, line="--timeout 500ms")
    end = finished(events)
    assert (end["state"], end["error"]["type"]) == ("failed", "StepTimeout")
    assert end["error"]["message"].startswith("step work did not end within 500 ms and was stopped.")
    assert text(events) == "tidied up\n"


def test_a_timeout_ends_what_does_not_heed_the_interrupt(client: EngineClient):
    source = f"{DEAF}\ntime.sleep(60)"
    began = time.monotonic()
    end = finished(run_step(client, source, line="--timeout 500ms"))
    assert (end["state"], end["error"]["type"]) == ("failed", "StepTimeout")
    assert time.monotonic() - began < 20


def test_a_failed_step_is_tried_again(client: EngineClient, tmp_path):
    source = FAILS_TWICE.format(path=str(tmp_path / "tries"))
    events = run_step(client, source, name="stubborn", line="--retries 2 --retry-delay 50ms")
    assert finished(events)["state"] == "succeeded"
    assert finished(events)["attempt"] == 3
    assert text(events, "stderr").count("ended with AssertionError; next one in 50 ms") == 2
    [found] = client.steps(events[0]["run"])
    assert found["history"] == ["queued", "running", "queued", "running", "queued", "running", "succeeded"]
    assert client.run(events[0]["run"])["history"] == ["queued", "running", "succeeded"]


def test_the_last_attempt_s_error_is_the_step_s(client: EngineClient):
    end = finished(run_step(client, "raise ValueError('no')", line="--retries 1"))
    assert (end["state"], end["attempt"], end["error"]["type"]) == ("failed", 2, "ValueError")


@pytest.mark.parametrize("stop", [StepStream.interrupt, StepStream.cancel])
def test_a_step_that_waits_for_its_next_attempt_can_be_stopped(client: EngineClient, stop: Callable[..., None]):
    stream = client.submit_step(step("1 / 0", name="patient", line="--retries 3 --retry-delay 60s"))
    for event in stream:
        if event["kind"] == "state" and event["content"].get("attempt") == 2:
            break
    stop(stream)
    assert finished(list(stream))["state"] == "cancelled"


@pytest.mark.parametrize("stop", [StepStream.interrupt, StepStream.cancel])
def test_a_stop_at_any_moment_of_trying_again_is_obeyed(client: EngineClient, stop: Callable[..., None]):
    moments = random.Random(6)
    for number in range(12):
        stream = client.submit_step(step("1 / 0", name=f"again{number}", line="--retries 400"))
        until_it_runs(stream)
        time.sleep(moments.uniform(0.0, 0.15))
        stop(stream)
        began = time.monotonic()
        end = finished(list(stream))
        assert time.monotonic() - began < 5
        assert end["state"] in {"cancelled", "failed"}
        assert end["attempt"] < 400


@pytest.mark.parametrize("stop", [StepStream.interrupt, StepStream.cancel])
def test_what_is_stopped_before_it_has_come_does_not_begin(client: EngineClient, stop: Callable[..., None]):
    stream = client.submit_step(step("1 + 1", name="too late"))
    stop(stream)
    with pytest.raises(StepCancelled, match="before it began"):
        next(stream)
    assert not [each for each in client.notebook_steps("n.ipynb") if each["name"] == "too late"]


@pytest.mark.parametrize("stop", [StepStream.interrupt, StepStream.cancel])
def test_what_is_stopped_while_it_is_being_accepted_ends(client: EngineClient, shared: Home, stop: Callable[..., None]):
    stream = client.submit_step(step(SLOW, name="being accepted"))
    with closing(sqlite3.connect(shared.folder / "records.sqlite", isolation_level=None)) as other:
        other.execute("begin immediate")
        with ThreadPoolExecutor(2) as threads:
            first = threads.submit(next, stream)
            time.sleep(0.3)
            stopped = threads.submit(stop, stream)
            time.sleep(0.3)
            other.execute("rollback")
            assert first.result(20)["kind"] == "accepted"
            stopped.result(20)
    assert finished(list(stream))["state"] == "cancelled"


def test_what_its_user_interrupted_is_not_tried_again(client: EngineClient):
    stream = client.submit_step(step(SLOW, name="stopped", line="--retries 5"))
    until_it_runs(stream)
    time.sleep(0.3)
    stream.interrupt()
    assert finished(list(stream))["attempt"] == 1


def test_steps_join_a_run_until_it_is_finished(client: EngineClient):
    run = client.create_run(notebook="joined.ipynb")["id"]
    for name in ("a", "b"):
        assert finished(run_step(client, "pass", name=name, run=run))["state"] == "succeeded"
    assert [each["name"] for each in client.steps(run)] == ["a", "b"]
    assert client.finish_run(run, state="succeeded")["state"] == "succeeded"
    with pytest.raises(NotFound, match="open run"):
        run_step(client, "pass", run=run)


def test_cancelling_a_run_cancels_its_steps(client: EngineClient):
    run = client.create_run(notebook="cancelled.ipynb")["id"]
    stream = client.submit_step(step(SLOW, run=run, name="in the run"))
    until_it_runs(stream)
    assert client.cancel_run(run)["state"] == "cancelled"
    assert finished(list(stream))["state"] == "cancelled"


def test_the_latest_step_of_each_name_of_a_notebook(client: EngineClient):
    for source, name in (("1", "a"), ("2", "b"), ("3", "a")):
        run_step(client, source, name=name, notebook="latest.ipynb")
    found = {each["name"]: each["source"] for each in client.notebook_steps("latest.ipynb")}
    assert found == {"a": "3", "b": "2"}


def test_the_private_part_reaches_the_face_and_no_record(shared: Home, client: EngineClient):
    events = run_step(client, "import os; os.environ['SECRET'] = 'hunter2-hunter2'", name="private")
    assert finished(events)["private"]
    replayed = list(client.events(run=events[0]["run"]))
    assert "private" not in replayed[-2]["content"]
    assert replayed[-2]["kind"] == "finished"
    client.stop()
    written = b"".join(path.read_bytes() for path in shared.folder.glob("records.sqlite*"))
    written += b"".join(path.read_bytes() for path in (shared.folder / "runtime").glob("*.log*"))
    assert finished(events)["private"].encode() not in written
    assert b"private" in written, "the source of the step, where the word occurs, was looked at"


def test_many_steps_of_many_faces_are_not_mixed_up(shared: Home):
    seen: dict[str, str] = {}

    def kernel(number: int) -> None:
        client = shared.client()
        for turn in range(4):
            name = f"k{number}t{turn}"
            events = run_step(client, f"print({name!r}); v = {name!r}", name=name, session=f"k{number}")
            seen[name] = text(events)
            assert {each["step"] for each in events} == {name}

    threads = [threading.Thread(target=kernel, args=(number,)) for number in range(5)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert seen == {f"k{k}t{t}": f"k{k}t{t}\n" for k in range(5) for t in range(4)}


def test_unknown_runs_steps_and_tokens(client: EngineClient):
    with pytest.raises(NotFound, match="run 999999"):
        client.run(999999)
    with pytest.raises(NotFound, match="run 999999"):
        client.steps(999999)
    with pytest.raises(NotFound):
        client.cancel_run(999999)
    client.interrupt("0" * 32)
    client.cancel("0" * 32)


def test_a_run_whose_owner_ends_without_a_word_is_lost(shared: Home, client: EngineClient):
    import subprocess
    import sys

    owner = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    run = client.create_run(notebook="left.ipynb", owner_pid=owner.pid)["id"]
    assert client.run(run)["state"] == "running"
    owner.kill()
    owner.communicate()
    until(lambda: client.run(run)["state"] == "lost", "the run is lost")
