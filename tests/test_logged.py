"""What may be logged, and as what it is kept."""

from __future__ import annotations

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest

from cellyard import logged
from cellyard.errors import UsageError


@pytest.fixture
def entries():
    found = []
    logged.use(found.append)
    yield found
    logged.use(None)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (1, 1),
        (True, 1.0),
        (0.5, 0.5),
        (np.float32(0.5), 0.5),
        (np.array(2), 2),
        (np.array([3]), 3),
        (math.inf, "inf"),
        (math.nan, "nan"),
        (1 << 60, float(1 << 60)),
        ("3", 3.0),
    ],
)
def test_a_metric_is_a_number_or_the_word_for_one_that_json_has_not(entries, value, kept):
    logged.log_metric("m", value)
    assert entries[0]["value"] == kept
    assert type(entries[0]["value"]) is type(kept)


@pytest.mark.parametrize("value", ["high", None, np.arange(3), [], 10**400])
def test_what_is_no_number_is_no_metric(entries, value):
    with pytest.raises(UsageError, match="no number"):
        logged.log_metric("m", value)
    assert entries == []


@pytest.mark.parametrize("name", ["", "  ", "x" * 201, 3, None])
def test_a_name_is_a_text_of_some_length(entries, name):
    with pytest.raises(UsageError, match="no name"):
        logged.log_metric(name, 1)


@pytest.mark.parametrize(
    ("value", "kept"),
    [(3, 3), (True, True), (None, None), ("x", "x"), (np.int64(3), 3), ((1, 2), "(1, 2)"), (math.inf, "inf")],
)
def test_a_parameter_is_what_it_is_or_its_text(entries, value, kept):
    logged.log_param("p", value)
    assert entries[0]["value"] == kept


def test_figures_and_axes_are_pictures(entries):
    figure, axis = plt.subplots()
    logged.log_figure("figure", figure)
    logged.log_figure("axis", axis)
    plt.close(figure)
    assert [each["name"] for each in entries] == ["figure", "axis"]
    assert all(each["data"]["image/png"].startswith("iVBORw0KGgo") for each in entries)
    with pytest.raises(UsageError, match="is no figure"):
        logged.log_figure("text", "text")
