"""The grammar of the %%step line: a line in, a StepLine or a clear error out."""

from __future__ import annotations

import json
import types

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cellyard.errors import CellyardError, InvalidSize, InvalidStepLine
from cellyard.model import (
    OPTIONS,
    Resources,
    StepLine,
    complete,
    expand,
    help_text,
    parse_step_line,
)
from cellyard.model.step_line import name_of_code

GIB = 1024**3


def test_an_empty_line_is_a_step_without_a_name_and_with_every_default():
    assert parse_step_line("") == StepLine()
    assert StepLine().resources == Resources(1.0, None, 0)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("features", StepLine(name="features")),
        ("  load-2.raw_x  ", StepLine(name="load-2.raw_x")),
        (
            "t --cpu 2 --memory 8GiB",
            StepLine(name="t", resources=Resources(2.0, 8 * GIB), cpu_given=True, memory_given=True),
        ),
        ("--cpu 1 t", StepLine(name="t", cpu_given=True)),
        ("--memory=8GiB", StepLine(resources=Resources(1.0, 8 * GIB), memory_given=True)),
        ("t --gpu 1", StepLine(name="t", resources=Resources(gpu=1))),
        ("t --in a,b --in c", StepLine(name="t", inputs=("a", "b", "c"))),
        ("t --in=", StepLine(name="t", inputs=())),
        ("t --out model", StepLine(name="t", outputs=("model",))),
        ("t --in 'a, b'", StepLine(name="t", inputs=("a", "b"))),
        ("t --timeout 1h30m", StepLine(name="t", timeout=5400.0)),
        ("t --retries 2 --retry-delay 30s", StepLine(name="t", retries=2, retry_delay=30.0)),
        ("t --env A=b --env 'C=d e=f'", StepLine(name="t", env=(("A", "b"), ("C", "d e=f")))),
        ('--map p=["a","b"] t', StepLine(name="t", map=("p", '["a","b"]'))),
        ("--map=p=d['k'] t", StepLine(name="t", map=("p", "d['k']"))),
        ("""t --map 'p=["a b", "c"]'""", StepLine(name="t", map=("p", '["a b", "c"]'))),
        ('t --map p="[1, 2]"', StepLine(name="t", map=("p", "[1, 2]"))),
        (r"t --map p=[\"a\"]", StepLine(name="t", map=("p", '["a"]'))),
        ("t --on kubernetes --fit", StepLine(name="t", backend="kubernetes", fit=True)),
    ],
)
def test_a_line_is_understood(line, expected):
    assert parse_step_line(line) == expected


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("t --map p=[1, 2]", "where it has blanks: --map 'p=[1, 2]'"),
        ("t --memroy 8GiB", "no option --memroy. Did you mean --memory?"),
        ("t --CPU 2", "Did you mean --cpu?"),
        ("t --retry_delay 2", "Did you mean --retry-delay?"),
        ("t -cpu 2", "Did you mean --cpu?"),
        ("t --zzz", "no option --zzz. %%step? shows them all."),
        ("t cpu=2", "Did you mean --cpu?"),
        ("load train", "a step has one name, and here are 2 words: load, train"),
        ("2fast", "'2fast' is no name for a step"),
        ("a/b", "'a/b' is no name for a step"),
        ("t --cpu", "--cpu needs a value, for example: --cpu 2"),
        ("t --cpu --memory 8GiB", "--cpu needs a value"),
        ("t --cpu 1 --cpu 2", "--cpu is given twice"),
        ("t --fit=yes", "--fit is a switch"),
        ("t --env MODE", "not of the form KEY=VALUE"),
        ("t --in a-b", "'a-b' is not a Python name"),
        ("t --in class", "'class' is not a Python name"),
        ("t --retries many", "'many' is not a whole number"),
        ("t --timeout 0", "more than no time"),
        ("t --on Some:Thing", "not the name of a backend"),
        ("t --env 'A=b", "a quotation mark is opened and not closed"),
    ],
)
def test_a_line_that_is_not_understood_says_what_and_why(line, said):
    with pytest.raises(InvalidStepLine) as caught:
        parse_step_line(line)
    assert said in str(caught.value)
    assert caught.value.line == line


@pytest.mark.parametrize("line", ["t --memory 16000", "t --cpu many", "t --gpu 0.5", "t --timeout soon", "t --cpu -1"])
def test_a_size_that_does_not_parse_shows_examples(line):
    with pytest.raises(InvalidSize, match="Examples: "):
        parse_step_line(line)


@given(st.text(max_size=40))
def test_any_text_is_either_a_step_line_or_one_of_our_errors(text):
    try:
        line = parse_step_line(text)
    except CellyardError:
        return
    assert StepLine.from_dict(json.loads(json.dumps(line.to_dict()))) == line


@pytest.mark.parametrize("option", OPTIONS, ids=lambda option: option.flag)
def test_every_option_of_the_table_parses_by_its_example_and_is_in_the_help(option):
    assert parse_step_line(f"t {option.example}").name == "t"
    assert option.flag in help_text()
    assert option.example in help_text()
    assert option.flag in complete("t --")
    for value in option.values:
        parse_step_line(f"t {option.flag} {value}")


@pytest.mark.parametrize(
    ("line", "options"),
    [
        ("train --mem", ["--memory"]),
        ("%%step train --re", ["--retries", "--retry-delay"]),
        ("train --retry-delay 3", ["30s"]),
        ("train --memory=8", ["--memory=8GiB"]),
        ("train --cpu ", ["1", "2", "4", "8", "500m"]),
        ("train --cpu 2 --cp", []),
        ("train --env A=b --e", ["--env"]),
        ("tra", []),
        ("train --zzz=", []),
    ],
)
def test_the_word_before_the_cursor_is_completed(line, options):
    assert complete(line) == options


def test_an_empty_word_offers_what_is_not_given_yet():
    offered = complete("train --cpu 2 --fit ")
    assert "--cpu" not in offered
    assert "--fit" not in offered
    assert "--memory" in offered


def test_names_and_attributes_in_braces_are_expanded():
    names = {"n": 4, "cfg": types.SimpleNamespace(size=types.SimpleNamespace(mem="8GiB")), "größe": 2}
    assert expand("t --cpu {n} --memory { cfg.size.mem } --gpu {größe}", names) == "t --cpu 4 --memory 8GiB --gpu 2"
    assert expand("t --env A={{n}}", names) == "t --env A={n}"
    assert expand("t --env A=$n", names) == "t --env A=$n"


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--cpu {m_cpu}", "there is no 'm_cpu'. Did you mean 'n_cpu'?"),
        ("--cpu {f()}", "{f()} is not a name"),
        ("--cpu {n_cpu + 1}", "is not a name"),
        ("--cpu {n_cpu!r}", "is not a name"),
        ("--cpu {}", "is not a name"),
        ("--cpu {n_cpu.zzz}", "no attribute 'zzz'"),
        ("--cpu {n_cpu", "stands alone"),
        ("--cpu n_cpu}", "stands alone"),
    ],
)
def test_what_cannot_be_expanded_is_refused(line, said):
    with pytest.raises(InvalidStepLine) as caught:
        expand(line, {"n_cpu": 2})
    assert said in str(caught.value)


def test_what_says_where_a_step_belongs_is_read():
    line = "t --on kubernetes --disk 10GiB --image registry.example/mine:1 --node zone=west --node example.com/kind=gpu"
    found = parse_step_line(f"{line} --spot --priority -5")
    assert (found.backend, found.disk, found.image) == ("kubernetes", 10 << 30, "registry.example/mine:1")
    assert found.node == (("zone", "west"), ("example.com/kind", "gpu"))
    assert (found.spot, found.priority) == (True, -5)
    assert StepLine.from_dict(found.to_dict()) == found
    plain = parse_step_line("t")
    assert (plain.backend, plain.disk, plain.image, plain.node, plain.spot, plain.priority) == (
        "",
        None,
        None,
        (),
        False,
        0,
    )


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("--disk 10", "unit is missing"),
        ("--image 'a b'", "is not the name of an image"),
        ("--node zone", "is not of the form KEY=VALUE"),
        ("--node 'zone=far west'", "is not of the form KEY=VALUE"),
        ("--spot=yes", "is a switch"),
        ("--priority high", "is not a whole number"),
    ],
)
def test_what_cannot_say_where_is_refused(line, said):
    with pytest.raises(CellyardError) as caught:
        parse_step_line(line)
    assert said in str(caught.value)


def test_a_name_from_the_code_is_that_of_the_code_however_it_is_handed_on():
    assert name_of_code("q = 1") == name_of_code("q = 1\n") == name_of_code("  q = 1\n\n  ") == "step-df03f3fb"
    assert name_of_code("q = 2") != name_of_code("q = 1")
