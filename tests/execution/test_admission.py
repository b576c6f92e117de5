"""What size a step gets."""

from __future__ import annotations

import pytest

from cellyard.errors import DoesNotFit, UsageError
from cellyard.execution.admission import admit
from cellyard.model import Resources, StepRequest, parse_step_line

CAPACITY = Resources(cpu=2.0, memory=4 << 30, gpu=1)


def request(line: str) -> StepRequest:
    return StepRequest(notebook="n", session="s", name="train", source="", options=parse_step_line(line))


def test_what_fits_is_given_as_asked():
    assert admit(request("--cpu 2 --memory 1GiB"), CAPACITY).resources == Resources(cpu=2.0, memory=1 << 30)
    assert admit(request(""), CAPACITY) == admit(request("--cpu 1"), CAPACITY)


def test_cpu_is_capped_with_a_note():
    found = admit(request("--cpu 8"), CAPACITY)
    assert found.resources.cpu == 2.0
    assert found.notes == ("--cpu 8 is more than there is here; the step gets 2 CPU",)


@pytest.mark.parametrize(("line", "lacking"), [("--memory 8GiB", "8 GiB memory"), ("--gpu 2", "2 GPU")])
def test_memory_and_gpu_that_never_fit_are_refused(line, lacking):
    with pytest.raises(DoesNotFit, match=lacking) as caught:
        admit(request(line), CAPACITY)
    assert "--fit" in str(caught.value)


def test_fit_takes_what_there_is():
    found = admit(request("--memory 8GiB --gpu 2 --fit"), CAPACITY)
    assert found.resources == Resources(cpu=1.0, memory=4 << 30, gpu=1)
    assert len(found.notes) == 2


def test_another_backend_is_refused_by_name():
    with pytest.raises(UsageError, match="--on moon"):
        admit(request("--on moon"), CAPACITY)
