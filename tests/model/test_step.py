"""A request survives its JSON, and keeps its secrets out of sight."""

from __future__ import annotations

import json

import pytest

from cellyard.model import Resources, StepRequest, parse_step_line


def request() -> StepRequest:
    return StepRequest(
        notebook="/home/me/a.ipynb",
        session="kernel-1",
        run=7,
        name="train",
        cell_id="c1",
        source="x = 1",
        line="train --cpu 2",
        raw_line="train --cpu {n}",
        options=parse_step_line("train --cpu 2 --in a --env A=b"),
        execution_count=3,
        inputs=({"id": "abc", "names": ["a"], "size": 10},),
        private="c2VjcmV0",
        packages=("numpy", "pandas"),
    )


def test_a_request_survives_json():
    assert StepRequest.from_dict(json.loads(json.dumps(request().to_dict()))) == request()


def test_a_request_asks_for_what_its_line_asks_for():
    assert request().resources == Resources(cpu=2.0)


def test_the_private_part_is_not_in_the_repr():
    assert "c2VjcmV0" not in repr(request())


def test_a_request_of_a_newer_face_is_read_as_far_as_it_is_known():
    known = StepRequest.from_dict({**request().to_dict(), "mood": "good"})
    assert known == request()


def test_a_request_without_its_source_is_not_one():
    with pytest.raises(KeyError, match="source"):
        StepRequest.from_dict({"notebook": "n", "session": "s", "name": "x"})
