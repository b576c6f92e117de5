"""What leaves a worker of a step's output: all of it, or its beginning and its end."""

from __future__ import annotations

import random
import string
from typing import Any

import pytest

from cellyard.worker.curve import MOST, Curve
from cellyard.worker.flow import OutputFlow
from cellyard.worker.measuring import largest_objects, size_of


def shown(messages: list[dict[str, Any]], name: str = "stdout") -> str:
    found = [each["message"] for each in messages if each["kind"] == "output"]
    return "".join(each["text"] for each in found if each["type"] == "stream" and each["name"] == name)


@pytest.mark.parametrize("seed", range(40))
def test_the_beginning_and_the_end_are_kept_and_no_more_than_the_limit(seed: int):
    rng = random.Random(seed)
    texts = ["".join(rng.choices(string.printable, k=rng.randint(1, 40))) for _ in range(rng.randint(0, 60))]
    limit = rng.randint(16, 400)
    flow, sent = OutputFlow(limit), []
    for text in texts:
        sent += flow.take({"type": "stream", "name": "stdout", "text": text})
    sent += flow.end()
    whole, kept = "".join(texts), shown(sent)
    assert len(kept) <= limit
    if len(whole) <= limit - limit // 8:
        assert kept == whole
    else:
        head = limit - limit // 8
        assert kept[:head] == whole[:head]
        assert whole.endswith(kept[head:])
        assert len(kept) == min(limit, len(whole))


def test_figures_beyond_their_limit_are_the_last_one():
    flow = OutputFlow(100)
    sent = [
        message
        for number in range(20)
        for message in flow.take({"type": "display_data", "data": {"image/png": f"{number:0100}"}, "metadata": {}})
    ]
    sent += flow.end()
    figures = [each["message"] for each in sent if each["message"]["type"] == "display_data"]
    assert [int(each["data"]["image/png"]) for each in figures] == [*range(8), 19]


KINDS = {
    "figures of dictionaries": lambda n: {
        "type": "display_data", "data": {"application/json": {"rows": [[n] * 50]}}, "metadata": {},
    },
    "results": lambda n: {"type": "execute_result", "data": {"text/plain": f"{n:0300}"}, "metadata": {}},
    "errors": lambda n: {"type": "error", "ename": "E", "evalue": f"{n:0300}", "traceback": ["x" * 50] * 4},
    "changes of a widget": lambda n: {
        "type": "comm", "message": "comm_msg", "metadata": {}, "buffers": [],
        "content": {"comm_id": "c", "data": {"method": "update", "state": {"value": f"{n:0300}"}, "buffer_paths": []}},
    },
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_whatever_is_shown_without_end_is_limited_and_its_last_comes(kind: str):
    flow = OutputFlow(1000)
    sent = [message for number in range(2000) for message in flow.take(KINDS[kind](number))]
    sent += flow.end()
    assert len(str(sent)) < 50_000
    assert sent[-1]["message"] == KINDS[kind](1999)
    assert shown(sent, "stderr").count("note: these are more") == 1


def test_clearing_without_end_is_limited():
    flow = OutputFlow(1000)
    sent = [message for _ in range(5000) for message in flow.take({"type": "clear_output", "wait": True})]
    assert len(sent) < 200


def test_a_curve_has_a_bounded_number_of_points_and_keeps_the_peak():
    curve = Curve()
    for number in range(100_000):
        seconds = number / 100
        if curve.note(seconds, 5_000 if number == 77_777 else 10):
            curve.add(seconds, seconds / 2)
    points = curve.end(1000.0, 10, 500.0)
    assert 20 < len(points) <= MOST
    assert max(point[1] for point in points) == 5_000
    assert [point[0] for point in points] == sorted(point[0] for point in points)


def test_objects_are_measured_by_what_they_hold():
    import numpy as np
    import pandas as pd

    array = np.zeros(1_000_000)
    assert size_of(array) == 8_000_000
    assert size_of(array[::2]) == 8_000_000  # it keeps the whole alive
    assert size_of(pd.DataFrame({"a": array})) >= 8_000_000
    assert size_of([b"x" * 1000] * 1000) > 1_000_000
    assert size_of({"a": {"b": bytes(2_000_000)}}) > 2_000_000
    found = largest_objects({"array": array, "same": array, "small": 1, "_hidden": bytes(5_000_000)})
    assert [(each["name"], each["type"]) for each in found if not each["where"]] == [("array", "ndarray")]
