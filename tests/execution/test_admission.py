"""What size a step gets."""

from __future__ import annotations

import pytest

from cellyard.backends.base import Offer
from cellyard.errors import DoesNotFit
from cellyard.execution.admission import admit
from cellyard.model import Resources, StepRequest, parse_step_line

HERE = Offer(capacity=Resources(cpu=2.0, memory=4 << 30, gpu=1))
CLUSTER = Offer(
    capacity=Resources(cpu=8.0, memory=None, gpu=4),
    memory=2 << 30,
    caps_cpu=False,
    honours=frozenset({"disk", "image", "node", "spot", "priority"}),
    place="kubernetes",
)


def request(line: str) -> StepRequest:
    return StepRequest(notebook="n", session="s", name="train", source="", options=parse_step_line(line))


def test_what_fits_is_given_as_asked():
    assert admit(request("--cpu 2 --memory 1GiB"), HERE).resources == Resources(cpu=2.0, memory=1 << 30)
    assert admit(request(""), HERE) == admit(request("--cpu 1"), HERE)


def test_cpu_is_capped_with_a_note():
    found = admit(request("--cpu 8"), HERE)
    assert found.resources.cpu == 2.0
    assert found.notes == ("--cpu 8 is more than there is here; the step gets 2 CPU",)


@pytest.mark.parametrize(("line", "lacking"), [("--memory 8GiB", "8 GiB memory"), ("--gpu 2", "2 GPU")])
def test_memory_and_gpu_that_never_fit_are_refused(line, lacking):
    with pytest.raises(DoesNotFit, match=lacking) as caught:
        admit(request(line), HERE)
    assert "--fit" in str(caught.value)


def test_fit_takes_what_there_is():
    found = admit(request("--memory 8GiB --gpu 2 --fit"), HERE)
    assert found.resources == Resources(cpu=1.0, memory=4 << 30, gpu=1)
    assert len(found.notes) == 2


def test_a_cluster_gives_memory_to_those_that_name_none_and_caps_no_cpu():
    assert admit(request(""), CLUSTER).resources == Resources(cpu=1.0, memory=2 << 30)
    with pytest.raises(DoesNotFit, match="16 CPU"):
        admit(request("--cpu 16"), CLUSTER)
    assert admit(request("--cpu 16 --fit"), CLUSTER).resources.cpu == 8.0


def test_what_says_where_on_a_cluster_a_step_belongs_is_ignored_here_with_a_note():
    line = "--image mine:1 --node zone=west --spot"
    assert admit(request(line), CLUSTER).notes == ()
    (note,) = admit(request(line), HERE).notes
    assert note == "--image and --node and --spot say nothing to this machine, where the step runs without"
