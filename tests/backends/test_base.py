"""The values that cross the contract."""

from __future__ import annotations

import pytest

from cellyard.backends.base import StepTask, cancelled, check_fits, cost, lost
from cellyard.errors import DoesNotFit, WorkerLost, error_from_dict
from cellyard.model.resources import Resources
from tests.backends.submitting import make_task


def test_a_task_survives_the_wire() -> None:
    task = make_task("x = 1", cpu=0.5, memory=1 << 20)
    assert StepTask.from_dict(task.to_dict()) == task


@pytest.mark.parametrize(
    ("resources", "wanted"),
    [
        (Resources(), {"cpu": 1000}),
        (Resources(cpu=0.1), {"cpu": 100}),
        (Resources(cpu=0.0001), {"cpu": 1}),
        (Resources(cpu=2, memory=5, gpu=1), {"cpu": 2000, "memory": 5, "gpu": 1}),
    ],
)
def test_a_cost_is_whole_numbers(resources: Resources, wanted: dict[str, int]) -> None:
    assert cost(resources) == wanted


def test_what_fits_exactly_is_let_through_and_more_is_not() -> None:
    check_fits(make_task("pass", cpu=2), Resources(cpu=2))
    with pytest.raises(DoesNotFit, match="step step asks for 3 CPU"):
        check_fits(make_task("pass", cpu=3), Resources(cpu=2))


def test_a_lost_step_tells_where_and_why() -> None:
    message = lost("train", worker="local", cause="The process was killed by SIGKILL.", peak=7)
    assert (message["kind"], message["state"], message["peak_memory"]) == ("finished", "lost", 7)
    assert "train" in message["error"]["message"]
    assert "SIGKILL" in message["error"]["message"]
    assert isinstance(error_from_dict(message["error"]["cellyard"]), WorkerLost)


def test_a_step_taken_out_of_the_queue_says_so() -> None:
    message = cancelled("train")
    assert (message["state"], message["error"]["type"]) == ("cancelled", "StepCancelled")
    assert "before it started" in message["error"]["message"]
