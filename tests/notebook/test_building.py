"""From cells to a pipeline."""

from __future__ import annotations

from pathlib import Path

import pytest

from cellyard.model.pipeline import Pipeline
from cellyard.notebook import draw_mermaid, draw_text, pipeline_of, read_notebook
from tests.house.source_tree import ROOT
from tests.notebook.cells import edges, pipeline

LOAD = "%%step load\ndf = [1]"


def names(found: Pipeline) -> list[str]:
    return [step.name for step in found.steps]


def test_steps_and_what_goes_between_them():
    found = pipeline(LOAD, "%%step use --cpu 2\ntotal = sum(df)", "%%step show\nprint(total, len(df))")
    assert edges(found) == {("load", "use"): ("df",), ("load", "show"): ("df",), ("use", "show"): ("total",)}
    assert [step.resources.cpu for step in found.steps] == [1.0, 2.0, 1.0]
    assert found.problems == ()


def test_a_name_assigned_again_is_versioned_in_the_notebooks_order():
    found = pipeline(LOAD, "%%step a\nx = df", "%%step more\ndf = df + [2]", "%%step b\ny = df")
    assert [step.makes for step in found.steps] == [("df",), ("x",), ("df@2",), ("y",)]
    assert edges(found) == {("load", "a"): ("df",), ("load", "more"): ("df",), ("more", "b"): ("df@2",)}


@pytest.mark.parametrize(
    "change",
    [
        "df.append(2)",
        "df[0] = 2",
        "df += [2]",
        "df.sort()",
        "df.x = 3",
        "for row in rows: df[row] = 1",
        "del df[0]",
        "df.sort_values('a', inplace=True)",
        "grow(df)",
        "grow(1, df)",
        "other = df\nother.append(1)",
    ],
)
def test_a_cell_that_changes_a_value_makes_a_new_version(change):
    helper = (
        "def grow(*a, **k):\n    pass\ndef grow(first, items=None):\n    first.append(1); items.append(1)\nrows = []"
    )
    found = pipeline(helper, LOAD, f"%%step change\n{change}", "%%step use\nlen(df)")
    assert edges(found)[("change", "use")] == ("df@2",)


@pytest.mark.parametrize(
    "use",
    ["print(df)", "x = fit(df)", "df.copy()", "x = df[0]", "x = model(1).fit(df)", "df.head()\nx = 1", "show(df)\n1"],
)
def test_a_cell_that_only_uses_a_value_leaves_it_to_all_others(use):
    helper = (
        "from lib import fit, model\ndef show(frame):\n    frame = frame.copy()\n    frame['x'] = 1\n    print(frame)"
    )
    found = pipeline(helper, LOAD, f"%%step one\n{use}", f"%%step two\n{use}")
    assert set(edges(found)) == {("load", "one"), ("load", "two")}


def test_names_of_one_object_change_together():
    found = pipeline(LOAD, "%%step alias\nledger = df", "%%step change\nledger.append(1)", "%%step use\nlen(df)")
    assert edges(found)[("change", "use")] == ("df@2",)


def test_plain_cells_are_steps_only_where_a_step_needs_what_they_make():
    found = pipeline(LOAD, "part = sorted(df)", "%%step use\nlen(part)", "shown = len(df)\nprint(shown)", "shown")
    assert names(found) == ["load", "make-part", "use"]
    assert [step.marked for step in found.steps] == [True, False, True]
    assert found.shown == (3, 4)


def test_imports_definitions_constants_and_settings_are_preamble():
    cells = [
        "%load_ext kernel_magics\n%matplotlib inline",
        "import numpy as np\nfrom pathlib import Path\nSEED = 3\nHOME = Path('x')",
        "def f(x):\n    return g(x) + SEED\nclass C:\n    pass",
        "TABLE = {'f': lambda x: f(x)}",
        "np.random.seed(SEED)",
        "import pandas as pd\npd.set_option('display.width', 3)\nimport os\nos.environ['A'] = '1'",
        "def g(x):\n    return x",
    ]
    found = pipeline(*cells, "%%step use\ny = TABLE['f'](1)")
    assert found.preamble == tuple(range(7))
    assert (names(found), found.shown, found.problems) == (["use"], (), ())
    assert set(found.steps[0].preamble) >= {"TABLE", "f", "g", "SEED"}


def test_what_a_function_uses_its_caller_needs():
    found = pipeline("def f():\n    return len(df)", LOAD, "%%step use\nx = f()")
    assert edges(found) == {("load", "use"): ("df",)}


@pytest.mark.parametrize(
    "cell",
    ["import pandas as pd\ndf = pd.read_csv('x')", "df = open('x')", "import time\nprint(1)", "x = [f() for f in y]"],
)
def test_what_works_is_no_preamble(cell):
    assert pipeline("y = []", cell).preamble == (0,)


def test_parameters_come_from_the_tagged_cell():
    found = pipeline("#parameters\nrows = 3\nname = 'x'", "%%step make --memory {rows}GiB\nparts = [name] * rows")
    assert [(each.name, each.type, each.default) for each in found.parameters] == [
        ("rows", "int", "3"),
        ("name", "str", "'x'"),
    ]
    assert found.steps[0].options.resources.memory == 3 * 2**30
    given = pipeline("#parameters\nrows = 3", "%%step make --memory {rows}GiB\nparts = [rows]", rows=5)
    assert given.steps[0].options.resources.memory == 5 * 2**30


def test_steps_that_draw_from_the_random_state_come_one_after_the_other():
    use = "import random\nfrom numpy.random import rand\ndef draw():\n    return random.random()"
    found = pipeline(
        use, "%%step a\nx = rand(3)", "%%step b\ny = 1", "%%step c\nz = draw()", "%%step d\nw = random.random()"
    )
    assert edges(found) == {("a", "c"): ("random state",), ("c", "d"): ("random state",)}


def test_what_draws_from_torchs_random_state_is_ordered_and_what_does_not_is_free():
    use = "import torch\nfrom torch import nn\nimport torch.nn.functional as F\nx = torch.zeros(3)"
    found = pipeline(
        use,
        "%%step a\nw = torch.randn(3)",
        "%%step b\ny = F.relu(x)",
        "%%step c\nnet = nn.Linear(3, 1)",
        "%%step d\nloss = nn.MSELoss()",
        "%%step e\nz = torch.empty(3).uniform_()",
    )
    drawn = {steps for steps, names in edges(found).items() if names == ("random state",)}
    assert drawn == {("a", "c"), ("c", "e")}


def test_a_generator_is_a_value_like_any_other():
    found = pipeline(
        "import numpy as np",
        "rng = np.random.default_rng(3)",
        "%%step a\nx = rng.normal()",
        "%%step b\ny = rng.normal()",
    )
    assert edges(found) == {("a", "b"): ("rng@2",)}, "nobody draws the same numbers"


def test_plain_cells_that_change_the_process_are_steps_before_others():
    found = pipeline("import os", "print(1)\nos.chdir('/tmp')", "%%step a\nx = 1", "print(2)")
    assert len(found.steps) == 2
    assert [edge.why for edge in found.edges] == ["process state"]
    assert found.shown == (3,)


def test_after_orders_steps_that_share_no_names():
    found = pipeline("%%step a\nx = 1", "%%step b --after a\ny = 1", "%%step c --after a,b\nz = 1")
    assert edges(found) == {("a", "b"): ("--after",), ("a", "c"): ("--after",), ("b", "c"): ("--after",)}


@pytest.mark.parametrize(
    ("cells", "place", "message"),
    [
        (["%%step a\nx = 1\ny = missing + x"], (0, 3), "nobody makes 'missing'"),
        (["print(1)\n\nmissing"], (0, 3), "nobody makes 'missing'"),
        (["%%step use\nlen(later)", "later = [1]"], (0, 2), "below this one"),
        (["%%step total\ndata = 1", "%%step b\ndate + 1"], (1, 2), "Did you mean 'data'"),
        (["%%step a --cpus 3\nx = 1"], (0, 1), "Did you mean --cpu"),
        (["%%step a --cpu {n}\nx = 1"], (0, 1), "constants and parameters"),
        (["%%step a\nx = = 1"], (0, 2), "does not parse"),
        (["x = = 1"], (0, 1), "does not parse"),
        (["%%step a --after b\nx = 1", "%%step b\ny = x"], (0, 1), "wait for each other: a -> b -> a"),
        (["%%step a --after none\nx = 1"], (0, 1), "does not exist"),
    ],
)
def test_what_is_wrong_is_told_with_cell_and_line(cells, place, message):
    [problem] = pipeline(*cells).errors
    assert (problem.cell, problem.line) == place
    assert message in str(problem)


@pytest.mark.parametrize("before", ["from lib import *", "%run other.ipynb", "exec('missing = 1')"])
def test_a_name_that_may_have_been_made_is_not_missing(before):
    assert pipeline(before, "%%step a\nmissing + 1").errors == ()


def test_a_name_made_on_a_condition_may_come_from_before():
    found = pipeline("%%step a\nx = 1", "%%step b\nif input_given:\n    x = 2", "input_given = 1", "%%step c\nx")
    assert {source for source, target in edges(found) if target == "c"} == {"a", "b"}


def test_two_steps_of_one_name_are_told_apart():
    found = pipeline("%%step a\nx = 1", "%%step a\ny = 1")
    assert names(found) == ["a", "a-2"]
    assert [(each.level, each.cell) for each in found.problems] == [("warning", 1)]


def test_steps_without_a_name_have_their_sources_hash():
    [step] = pipeline("%%step\nx = 1").steps
    assert step.name.startswith("step-")


def test_what_cannot_work_in_a_step_is_a_warning():
    found = pipeline("%%step a\nx = 1\nbreakpoint()")
    assert [(each.level, each.line) for each in found.problems] == [("warning", 3)]


def test_magics_are_understood():
    found = pipeline("%%step a\n%time x = 1", "%%step b\n!echo {x}")
    assert edges(found) == {("a", "b"): ("x",)}


@pytest.mark.parametrize("path", sorted((ROOT / "examples").glob("*.ipynb")), ids=lambda path: path.stem)
def test_the_examples_are_pipelines(path: Path):
    found = pipeline_of(read_notebook(path))
    assert found.problems == ()
    assert len(found.order()) == len(found.steps) > 6
    if path.stem == "digits":
        sweeps = {"sweep_logistic", "sweep_svm", "sweep_forest"}
        assert all(not sweeps & found.ancestors([one]) for one in sweeps), "they can run side by side"
        assert found.shown == (8, 11, 25, 27)
    else:
        assert edges(found)[("orders", "fill")] == ("ledger@2", "orders@3"), "two names of one frame"
    assert Pipeline.from_dict(found.to_dict()) == found


def test_it_is_drawn_as_text_and_as_mermaid():
    found = pipeline(LOAD, "part = sorted(df)", "%%step use --memory 1GiB\nlen(part)", "%%step last --after use\n1")
    text = draw_text(found)
    assert "load" in text
    assert "<- make-part: part" in text
    assert "<- use (--after)" in text
    assert draw_mermaid(found).splitlines() == [
        "flowchart TD",
        '    s0["load<br/>1 CPU"]',
        '    s1("make-part<br/>1 CPU")',
        '    s2["use<br/>1 CPU, 1 GiB"]',
        '    s3["last<br/>1 CPU"]',
        '    s0 -- "df" --> s1',
        '    s1 -- "part" --> s2',
        '    s2 -. "--after" .-> s3',
    ]


def test_a_mapped_step_needs_its_items_and_makes_lists():
    found = pipeline("%%step load\nparts = [1]", "%%step each --map part=parts\ny = part + 1", "%%step use\nsum(y)")
    assert edges(found) == {("load", "each"): ("parts",), ("each", "use"): ("y",)}
    assert found.problems == ()
    [problem] = pipeline("%%step each --map part=[1]\ny = part + missing").errors
    assert (problem.cell, problem.line) == (0, 2)
