"""The real completer of a real kernel offers the options of the %%step line."""

from __future__ import annotations

import pytest

from cellyard.model.step_options import OPTIONS
from tests.notebooks.kernels import Kernel


@pytest.mark.parametrize(
    ("typed", "offered"),
    [
        ("%%step --me", ["--memory"]),
        ("%%step train --cpu 2 --me", ["--memory"]),
        ("%%step --re", ["--retries", "--retry-delay"]),
        ("%%step --memory 8", ["8GiB"]),
        ("%%step --timeout ", ["90s", "10m", "1h"]),
        ("%%step --on l", ["local"]),
    ],
)
def test_options_and_their_values_are_completed(kernel: Kernel, typed: str, offered: list[str]):
    assert kernel.complete(typed)[: len(offered)] == offered


def test_a_single_dash_offers_every_option(kernel: Kernel):
    assert set(kernel.complete("%%step --")) >= {option.flag for option in OPTIONS}


def test_an_option_that_was_given_is_not_offered_again(kernel: Kernel):
    assert "--cpu" not in kernel.complete("%%step --cpu 2 --c")


def test_the_magics_themselves_are_completed(kernel: Kernel):
    assert "%%step" in kernel.complete("%%ste")
    assert "%steps" in kernel.complete("%ste")


def test_names_in_the_body_are_completed_as_ever(kernel: Kernel):
    kernel.run("some_long_name = 1")
    assert "some_long_name" in kernel.complete("%%step --cpu 1\nsome_lo")


def test_other_lines_are_left_alone(kernel: Kernel):
    assert "--memory" not in kernel.complete("x = 5 --me")
