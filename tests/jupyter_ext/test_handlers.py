"""The engine's API through a real Jupyter server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from cellyard import __version__
from tests.jupyter_ext.servers import BASE, LabServer
from tests.service.engines import finished, run_step, until

API = "/cellyard/api/v1"


@pytest.fixture
def engine(lab: LabServer) -> LabServer:
    """The server, whose engine runs."""
    lab.home.client().ensure()
    return lab


def events(answer: httpx.Response) -> Iterator[dict[str, Any]]:
    for line in answer.iter_lines():
        if line.startswith("data: ") and line != "data: {}":
            yield json.loads(line[6:])


def test_asking_for_data_starts_an_engine_and_asking_for_the_status_does_not(lab, http):
    lab.home.client().stop(drain=False, timeout=20)
    status = http.get("/cellyard/status").json()
    assert status == {"version": __version__, "engine": None, "root": str(lab.root)}
    refused = http.get(f"{API}/runs?start=0")
    assert (refused.status_code, refused.json()["error"]) == (503, "EngineUnavailable")
    assert isinstance(http.get(f"{API}/runs").json()["runs"], list)
    assert http.get("/cellyard/status").json()["engine"]["version"] == __version__


@pytest.mark.parametrize("token", [None, "another"])
@pytest.mark.parametrize("path", ["/cellyard/status", f"{API}/runs", f"{API}/events"])
def test_nobody_is_answered_without_the_token(lab, token, path):
    with lab.http(token=token) as http:
        answer = http.get(path)
    assert answer.status_code == 403
    assert "runs" not in answer.json()


def test_a_browser_without_the_xsrf_token_changes_nothing(engine):
    with engine.http(token=None) as browser:
        # As a browser logs in: from then on it is known by its cookie.
        token = engine.http().headers["Authorization"].removeprefix("token ")
        assert browser.get(f"/lab?token={token}").status_code == 200
        assert browser.get(f"{API}/runs").status_code == 200
        body = {"notebook": "n.ipynb"}
        assert browser.post(f"{API}/runs", json=body).status_code == 403
        known = {"X-XSRFToken": browser.cookies["_xsrf"]}
        created = browser.post(f"{API}/runs", json=body, headers=known)
        assert created.status_code == 200
        ended = {"state": "cancelled"}
        browser.post(f"{API}/runs/{created.json()['id']}/finish", json=ended, headers=known).raise_for_status()


def test_what_the_engine_refuses_is_handed_on(engine, http):
    missing = http.get(f"{API}/runs/99999")
    assert (missing.status_code, missing.json()["error"]) == (404, "NotFound")
    misshapen = http.post(f"{API}/runs", json={})
    assert (misshapen.status_code, misshapen.json()["error"]) == (400, "UsageError")


def test_a_name_with_a_slash_arrives_as_it_is(engine, http):
    notebook = str(engine.root / "a folder/ü & co.ipynb")
    run_step(engine.home.client(), "x = 1", name="first", notebook=notebook)
    found = http.get(f"{API}/notebooks/steps", params={"notebook": notebook}).json()["steps"]
    assert [each["name"] for each in found] == ["first"]


def test_only_paths_below_the_base_url_are_served(lab):
    with httpx.Client(base_url=lab.url.removesuffix(BASE.rstrip("/"))) as http:
        assert http.get("/cellyard/status", headers=lab.http().headers).status_code == 404


def test_events_arrive_while_they_happen_and_are_caught_up_with(engine, http):
    done = finished(run_step(engine.home.client(), "print('one')", name="past"))
    assert done["state"] == "succeeded"
    (past,) = [run for run in http.get(f"{API}/runs").json()["runs"] if run["notebook"] == "n.ipynb"][:1]
    with http.stream("GET", f"{API}/runs/{past['id']}/events") as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        seen = list(events(answer))
    assert {"accepted", "output", "finished"} <= {event["kind"] for event in seen}
    with http.stream("GET", f"{API}/runs/{past['id']}/events?since={seen[1]['seq']}") as answer:
        assert list(events(answer)) == seen[2:]
    with http.stream("GET", f"{API}/events?follow=1&since={seen[-1]['seq']}") as answer:
        following = events(answer)
        stream = engine.home.client().submit_step(
            {"notebook": "n.ipynb", "session": "s", "name": "now", "source": "import time\ntime.sleep(60)"}
        )
        assert next(stream)["kind"] == "accepted"
        first = next(event for event in following if event["step"] == "now")
        # The step has not ended: what arrived did so while it ran.
        assert first["kind"] == "accepted"
        stream.cancel()
        last = next(event for event in following if event["step"] == "now" and event["kind"] == "finished")
        assert last["content"]["state"] == "cancelled"
        list(stream)


def test_a_reader_that_leaves_is_not_followed_any_more(engine, http):
    until(lambda: engine.followers() == 0, "nobody follows")
    with http.stream("GET", f"{API}/events?follow=1") as answer:
        pieces = answer.iter_raw()
        assert next(pieces)
        until(lambda: engine.followers() == 1, "the engine has a follower")
    until(lambda: engine.followers() == 0, "it has none any more")


def test_a_stream_ends_with_the_engine_and_has_no_end_of_its_own(engine, http):
    run_step(engine.home.client(), "x = 1")
    with http.stream("GET", f"{API}/events?follow=1") as answer:
        pieces = answer.iter_raw()
        told = next(pieces)
        engine.home.kill_engine()
        told += b"".join(pieces)
    assert b"event: end" not in told
    assert http.get(f"{API}/runs").status_code == 200
