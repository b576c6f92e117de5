"""The API describes itself, and refuses what it does not understand with the same errors as everything else."""

from __future__ import annotations

import json

import pytest

from cellyard import errors
from cellyard.errors import CellyardError, UsageError
from cellyard.service.app import STATUS
from cellyard.service.client import EngineClient

TOKEN = "0123456789abcdef"


def test_it_describes_its_routes(client: EngineClient):
    described = client._call("GET", "/openapi.json")
    assert {"/v1/engine", "/v1/steps", "/v1/runs/{run}/events", "/v1/notebooks/steps"} <= set(described["paths"])
    summaries = [method["description"] for path in described["paths"].values() for method in path.values()]
    assert all(summaries)


@pytest.mark.parametrize(
    ("target", "body"),
    [
        ("/v1/steps?token=0123456789abcdef", {"no": "step"}),
        (
            "/v1/steps?token=0123456789abcdef",
            {"notebook": "n", "session": "s", "name": "a", "source": "", "options": 3},
        ),
        ("/v1/steps?token=!", {}),
        ("/v1/steps", {}),
        ("/v1/runs", {"kind": "party", "notebook": "n"}),
        ("/v1/runs", {}),
        ("/v1/engine/stop", {"drain": "perhaps"}),
    ],
)
def test_a_request_that_is_not_understood_is_a_usage_error(client: EngineClient, target, body):
    with pytest.raises(UsageError, match="request"):
        client._call("POST", target, body)


def test_a_body_that_is_not_json_is_a_usage_error(client: EngineClient):
    with pytest.raises(UsageError, match="request"):
        client._exchange("POST", f"/v1/steps?token={TOKEN}", b"{nonsense", json.loads)


def test_every_error_of_ours_has_a_status():
    classes = [found for name in errors.__all__ if isinstance(found := getattr(errors, name), type)]
    for error in (kind for kind in classes if issubclass(kind, CellyardError)):
        assert any(issubclass(error, kind) for kind, _ in STATUS)
    order = [kind for kind, _ in STATUS]
    shadowed = [b for i, a in enumerate(order) for b in order[i + 1 :] if issubclass(b, a)]
    assert shadowed == [], "a class behind one of its bases would never be found"


def test_texts_that_are_not_utf_8_break_no_answer(client: EngineClient):
    from tests.service.engines import finished, run_step

    source = "import cellyard\ncellyard.log_param('file', 'caf\\udce9.csv')\nraise ValueError('a\\udcffb')"
    assert finished(run_step(client, source, name="odd"))["error"]["message"] == "a\udcffb"
    run = next(each for each in client.runs() if each["state"] == "failed")
    [found] = client.steps(run["id"])
    assert found["error"]["message"] == "a\udcffb"
    assert finished(run_step(client, "x = 1", name="next"))["state"] == "succeeded"


def test_events_carry_number_kind_and_json(client: EngineClient):
    from tests.service.engines import run_step

    run = run_step(client, "print(1)")[0]["run"]
    connection, response = client._stream("GET", f"/v1/runs/{run}/events")
    assert response.headers["content-type"].startswith("text/event-stream")
    blocks = response.read().decode().strip().split("\n\n")
    connection.close()
    assert blocks[-1] == "event: end\ndata: {}"
    for block in blocks[:-1]:
        fields = dict(line.split(": ", 1) for line in block.split("\n"))
        event = json.loads(fields["data"])
        assert (int(fields["id"]), fields["event"]) == (event["seq"], event["kind"])
