"""Cells like those of people's notebooks do the same plainly and as steps."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.notebooks.comparison import compare, prepare
from tests.notebooks.kernels import Kernel, kernel_at
from tests.notebooks.written import MARKINGS, read
from tests.service.engines import engine_home

PARTS = ("reads", "writes", "classes", "process_state", "libraries", "outputs")


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[Kernel, Kernel]]:
    """One kernel for plain cells, one for steps, each with a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="cy-") as one,
        tempfile.TemporaryDirectory(prefix="cy-") as other,
        engine_home() as home,
        kernel_at(home.env, load=False, folder=one) as plain,
        kernel_at(home.env, folder=other) as marked,
    ):
        prepare(plain)
        prepare(marked)
        yield plain, marked


def differences(kernels: tuple[Kernel, Kernel], part: str, marking: str, *, look: bool) -> list[str]:
    return [str(each) for one in read(part) for each in compare(kernels, one, MARKINGS[marking], look=look)]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("part", PARTS)
def test_a_cell_means_the_same_as_a_step(kernels, part):
    found = differences(kernels, part, "every", look=True)
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("marking", ["even", "odd", "drawn"])
@pytest.mark.parametrize("part", PARTS)
def test_plain_cells_and_steps_take_turns(kernels, part, marking):
    found = differences(kernels, part, marking, look=False)
    assert not found, "\n".join(found)
