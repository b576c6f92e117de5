"""What faces look through."""

from __future__ import annotations

import json
import time

import pytest

from cellyard.errors import InvalidSettings, InvalidStepLine
from cellyard.model.step_options import OPTIONS
from cellyard.service.following import EventStream
from tests.service.engines import engine_home, finished, run_step, step, until


def test_a_place_tells_what_it_has_and_what_runs_there(client):
    (place,) = client._call("GET", "/v1/workers")["places"]
    assert (place["name"], place["default"], place["steps"]) == ("local", True, [])
    assert place["capacity"]["cpu"] == 2
    (worker,) = place["workers"]
    assert (worker["name"], worker["resources"]) == ("local", place["capacity"])
    assert (place["most_workers"], place["idle"], place["dashboard"]) == (None, None, "")
    with client.submit_step(step("import time\ntime.sleep(60)", name="long", line="--memory 1GiB")) as stream:
        next(stream)

        def running():
            (place,) = client._call("GET", "/v1/workers")["places"]
            return [each for each in place["steps"] if each["began"]]

        until(lambda: bool(running()), "the step is seen to run")
        (seen,) = running()
        assert (seen["name"], seen["resources"]["memory"], seen["token"]) == ("long", 1 << 30, stream.token)
        assert abs(seen["began"] - time.time()) < 60
        client.cancel(seen["token"])
        list(stream)


def test_runs_tell_the_names_and_states_of_their_steps(client):
    run_step(client, "x = 1", name="good")
    run_step(client, "1 / 0", name="bad")
    latest = client.runs(limit=2)
    assert [run["steps"] for run in latest] == [
        [{"name": "bad", "state": "failed"}],
        [{"name": "good", "state": "succeeded"}],
    ]
    assert client.runs(notebook="none such") == []


def test_attempts_are_listed_in_order(client):
    events = run_step(client, "1 / 0", name="again", line="--retries 1")
    run, step_id = events[0]["run"], events[0]["step_id"]
    found = client._call("GET", f"/v1/runs/{run}/steps/{step_id}/attempts")["attempts"]
    assert [(each["number"], each["state"], each["error"]["type"]) for each in found] == [
        (1, "failed", "ZeroDivisionError"),
        (2, "failed", "ZeroDivisionError"),
    ]


def test_every_option_is_told(client):
    found = client._call("GET", "/v1/step-options")["options"]
    assert [each["flag"] for each in found] == [option.flag for option in OPTIONS]
    json.dumps(found)


def test_a_line_is_understood_or_refused_as_the_magic_does(client):
    assert client._call("POST", "/v1/step-line", {"line": "train --cpu 2"})["resources"]["cpu"] == 2
    with pytest.raises(InvalidStepLine, match="Did you mean --cpu"):
        client._call("POST", "/v1/step-line", {"line": "train --cpus 2"})


def test_a_reader_of_few_kinds_is_sent_only_those(client):
    since = client.info()["seq"]
    assert finished(run_step(client, "print('much')", name="loud"))["state"] == "succeeded"
    target = f"/v1/events?since={since}&kinds=accepted,finished"
    with EventStream(lambda seq: client._stream("GET", target), client._release, since=since) as stream:
        events = list(stream)
    assert [(event["kind"], event["step"]) for event in events] == [("accepted", "loud"), ("finished", "loud")]


def test_what_can_never_be_had_is_known_of_a_backend_that_is_not_started():
    with engine_home(CELLYARD_KUBERNETES_MAX_MEMORY="2GiB", CELLYARD_MEMORY="4GiB") as home:
        client = home.client()
        size = {"cpu": 64.0, "memory": 3 << 30, "gpu": 0}
        assert client.lacking(size, on="kubernetes") == "3 GiB memory (there is 2 GiB)"
        assert client.lacking(size, on="kubernetes", fit=True) is None
        assert client.lacking(size) is None  # a machine gives the CPUs that it has
        assert client.lacking({**size, "gpu": 1}) == "1 GPU (there are 0)"
        with pytest.raises(InvalidSettings, match="nowhere"):
            client.lacking(size, on="nowhere")
