"""Sizes: what is read, what is refused and how, and how they are written back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.errors import InvalidSize
from cellyard.model import (
    Resources,
    format_duration,
    format_memory,
    parse_cpu,
    parse_duration,
    parse_gpu,
    parse_memory,
)

GIB = 1024**3


@pytest.mark.parametrize(("text", "cpu"), [("4", 4.0), ("0.5", 0.5), ("500m", 0.5), (" 2 ", 2.0), (".25", 0.25)])
def test_cpu_is_read_as_kubernetes_writes_it(text, cpu):
    assert parse_cpu(text) == cpu


@pytest.mark.parametrize("text", ["", "0", "-1", "two", "1 2", "2cores", "1e3", "nan", "0m"])
def test_a_cpu_that_cannot_be_meant_is_refused_with_examples(text):
    with pytest.raises(InvalidSize, match=r"Examples: 4, 0\.5, 500m") as caught:
        parse_cpu(text)
    assert caught.value.option == "--cpu"


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("8GiB", 8 * GIB),
        ("8Gi", 8 * GIB),
        ("8gib", 8 * GIB),
        ("500MB", 500_000_000),
        ("500M", 500_000_000),
        ("1.5GiB", 1536 * 1024**2),
        ("8 GiB", 8 * GIB),
        ("64Ki", 65536),
        ("64k", 64000),
        ("4096B", 4096),
        ("1TiB", 1024 * GIB),
    ],
)
def test_memory_is_read_in_both_systems_of_units(text, size):
    assert parse_memory(text) == size


@pytest.mark.parametrize(
    ("text", "likely"),
    [("16000", "16000MiB"), ("16", "16GiB"), ("8000000000", "8000000000B"), ("500m", "500MiB")],
)
def test_memory_without_a_clear_unit_is_refused_with_the_likely_meaning(text, likely):
    with pytest.raises(InvalidSize, match=f"did you mean {likely}\\?") as caught:
        parse_memory(text)
    assert "8GiB" in str(caught.value)


@pytest.mark.parametrize("text", ["", "GiB", "-1GiB", "8GiBs", "8XB", "0GiB", "1.2.3GiB", "a lot"])
def test_memory_that_cannot_be_meant_is_refused(text):
    with pytest.raises(InvalidSize):
        parse_memory(text)


def test_gpus_are_whole():
    assert parse_gpu("2") == 2
    for text in ("0.5", "-1", "one", ""):
        with pytest.raises(InvalidSize):
            parse_gpu(text)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("90s", 90),
        ("10m", 600),
        ("10min", 600),
        ("1h", 3600),
        ("1h30m", 5400),
        ("1h 30m", 5400),
        ("1d", 86400),
        ("45", 45),
        ("0.5", 0.5),
        ("250ms", 0.25),
        ("0", 0),
    ],
)
def test_times_are_read(text, seconds):
    assert parse_duration(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "soon", "1h1h", "-5s", "5 weeks", "1h30", "h"])
def test_a_time_that_cannot_be_meant_is_refused_with_examples(text):
    with pytest.raises(InvalidSize, match="Examples: 90s"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (900, "900 B"),
        (8 * GIB, "8 GiB"),
        (int(7.9 * GIB), "7.9 GiB"),
        (512 * 1024**2, "512 MiB"),
        (GIB - 1, "1 GiB"),
    ],
)
def test_memory_is_written_for_people(size, text):
    assert format_memory(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.012, "12 ms"),
        (3.42, "3.4 s"),
        (59.96, "1 min"),
        (90, "1 min 30 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (86400 * 3 + 4 * 3600, "3 d 4 h"),
        (1.0, "1 s"),
        (0.9997, "1 s"),
    ],
)
def test_times_are_written_for_people(seconds, text):
    assert format_duration(seconds) == text


@given(st.integers(min_value=1, max_value=2**50))
def test_every_written_memory_can_be_read_back_near_to_what_it_was(size):
    assert parse_memory(format_memory(size)) == pytest.approx(size, rel=0.06)


@given(
    st.builds(
        Resources,
        cpu=st.floats(0.001, 512),
        memory=st.none() | st.integers(1, 2**45),
        gpu=st.integers(0, 8),
    )
)
def test_resources_survive_their_dictionary_and_fit_into_themselves(resources):
    assert Resources.from_dict(resources.to_dict()) == resources
    assert resources.fits(resources)


def test_resources_read_as_a_sentence():
    assert str(Resources(2, 8 * GIB)) == "2 CPU, 8 GiB"
    assert str(Resources(0.5, None, 1)) == "0.5 CPU, 1 GPU"


def test_a_shortage_names_everything_that_is_missing_and_what_there_is():
    machine = Resources(2, 4 * GIB, 0)
    assert Resources(2, 4 * GIB).shortage(machine) is None
    assert Resources(1, None).fits(machine)
    lacking = Resources(4, 8 * GIB, 1).shortage(machine)
    assert lacking == "4 CPU (there are 2), 8 GiB memory (there is 4 GiB), 1 GPU (there are 0)"
