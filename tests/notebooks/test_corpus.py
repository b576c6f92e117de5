"""Cells like those of people's notebooks do the same plainly and as steps."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import tempfile
from collections.abc import Iterator

import pytest

from tests.notebooks.comparison import compare, prepare
from tests.notebooks.coverage import LEAST, NOUNS, TABLE, cells_by_noun, table
from tests.notebooks.kernels import THREADS, Kernel, kernel_at
from tests.notebooks.written import MARKINGS, Notebook, read
from tests.service.engines import engine_home

PARTS = tuple(NOUNS)
#: What is tried of each noun in a few seconds.
FEW = 2
#: The names of libraries by which they are imported, where these differ.
USUAL = {"numpy", "pandas", "scikit-learn", "matplotlib"}
"""Libraries of which they are tried each time."""
IMPORTED = {
    "pandas on Arrow": "pyarrow",
    "scipy sparse": "scipy",
    "scikit-learn": "sklearn",
    "the standard library": "os",
}


@contextlib.contextmanager
def two_kernels() -> Iterator[tuple[Kernel, Kernel]]:
    """One kernel for plain cells, one for steps, each with a folder of its own."""
    with (
        tempfile.TemporaryDirectory(prefix="cy-") as one,
        tempfile.TemporaryDirectory(prefix="cy-") as other,
        engine_home() as home,
        kernel_at(home.env | THREADS, load=False, folder=one) as plain,
        kernel_at(home.env | THREADS, folder=other) as marked,
    ):
        prepare(plain)
        prepare(marked)
        yield plain, marked


@pytest.fixture(scope="module")
def kernels() -> Iterator[tuple[Kernel, Kernel]]:
    """For the first cells of all parts."""
    with two_kernels() as found:
        yield found


@pytest.fixture
def new_kernels() -> Iterator[tuple[Kernel, Kernel]]:
    """For all cells of a part: some change modules for good, where they run."""
    with two_kernels() as found:
        yield found


def differences(kernels: tuple[Kernel, Kernel], part: str, marking: str, *, look: bool) -> list[str]:
    return [str(each) for one in read(part) for each in compare(kernels, one, MARKINGS[marking], look=look)]


def test_every_noun_has_its_cells():
    found = cells_by_noun()
    assert {
        noun: found[noun] for part in NOUNS for noun in ((part, n) for n in NOUNS[part]) if found[noun] < LEAST
    } == {}


def test_the_table_says_what_there_is():
    assert TABLE.read_text(encoding="utf-8") == table(), "python -m tests.notebooks.coverage writes it anew"


def beginnings(part: str) -> Iterator[Notebook]:
    """The first cells of the first notebook of each noun."""
    seen: set[str] = set()
    for notebook in read(part):
        if part == "libraries" and USUAL.isdisjoint(notebook.nouns):
            continue
        if not seen.issuperset(notebook.nouns):
            yield dataclasses.replace(notebook, cells=notebook.cells[:FEW])
        seen.update(notebook.nouns)


@pytest.mark.timeout(400)  # a busy machine is no difference
@pytest.mark.parametrize("part", [part for part in PARTS if NOUNS[part]])
def test_the_first_cells_of_each_noun_mean_the_same(kernels, part):
    found = [str(each) for one in beginnings(part) for each in compare(kernels, one, MARKINGS["every"], look=False)]
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("part", PARTS)
def test_a_cell_means_the_same_as_a_step(new_kernels, part):
    found = differences(new_kernels, part, "every", look=True)
    assert not found, "\n".join(found)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("marking", ["even", "odd", "drawn"])
@pytest.mark.parametrize("part", PARTS)
def test_plain_cells_and_steps_take_turns(new_kernels, part, marking):
    found = differences(new_kernels, part, marking, look=False)
    assert not found, "\n".join(found)


@pytest.mark.long
def test_no_library_of_the_long_tests_is_missing():
    wanted = [IMPORTED.get(noun, noun) for noun in NOUNS["libraries"]]
    assert [name for name in wanted if importlib.util.find_spec(name) is None] == []
