"""What cannot travel is refused in words that name it: before a step is queued, and where its value would be used."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator

import pytest

from tests.notebooks.kernels import Kernel, kernel_at
from tests.notebooks.refused import REFUSED, Case
from tests.service.engines import engine_home


@pytest.fixture(scope="module")
def kernel() -> Iterator[Kernel]:
    with (
        tempfile.TemporaryDirectory(prefix="cy-") as folder,
        engine_home() as home,
        kernel_at(home.env, folder=folder) as found,
    ):
        yield found


cases = pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.name)


@cases
def test_what_a_step_would_need_is_refused_before_it_is_queued(kernel: Kernel, case: Case):
    kernel.run(case.make)
    ran = kernel.fail(f"%%step\nprint('has run')\n{case.use}")
    assert ran.error["ename"] == "CannotTravel"
    assert f"'{case.name}'" in ran.error["evalue"]
    assert case.says in ran.error["evalue"]
    assert "has run" not in ran.stdout


@cases
def test_what_a_step_has_made_is_refused_where_it_would_be_used(kernel: Kernel, case: Case):
    kernel.run(f"%%step\n{case.make}\nbeside = '{case.name}'")
    assert kernel.look("beside") == case.name
    ran = kernel.fail(case.use if case.use != case.name else f"{case.name}.aclose()")
    assert ran.error["ename"] == "CannotTravel"
    assert f"'{case.name}'" in ran.error["evalue"]
    assert case.says in ran.error["evalue"]


@cases
def test_a_step_may_make_it_and_use_it(kernel: Kernel, case: Case):
    kernel.run(f"%%step\n{case.make}\n_ = {case.use}")
