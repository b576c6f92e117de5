"""Notebook files as cells."""

from __future__ import annotations

import json

import pytest

from cellyard.errors import UsageError
from cellyard.notebook import notebook_of, read_notebook
from cellyard.notebook.jupytext import cells_of_script

PERCENT = """\
# ---
# jupyter:
#   kernelspec: {name: python3}
# ---

# %% [markdown]
# # A title
# and a line

# %% tags=["parameters"]
size = 3

# %%
# %load_ext kernel_magics

# %%
# %%step load --cpu 2
parts = list(range(size))

print(parts)
"""

LIGHT = """\
# # A title

import os

# +
a = 1

b = 2
# -

def f():
    x = 1

    return x

f()
"""


def sources(document: object) -> list[str]:
    return [cell.source for cell in notebook_of(document).code]


def test_a_script_in_the_percent_format_is_a_notebook():
    notebook = notebook_of(cells_of_script(PERCENT))
    assert [cell.kind for cell in notebook.cells] == ["markdown", "code", "code", "code"]
    assert notebook.cells[0].source == "# A title\nand a line"
    assert notebook.cells[1].tags == ("parameters",)
    assert notebook.cells[2].source == "%load_ext kernel_magics"
    assert notebook.cells[3].source == "%%step load --cpu 2\nparts = list(range(size))\n\nprint(parts)"


def test_a_script_in_the_light_format_is_a_notebook():
    assert sources(cells_of_script(LIGHT)) == [
        "import os",
        "a = 1\n\nb = 2",
        "def f():\n    x = 1\n\n    return x",
        "f()",
    ]


def test_sources_may_be_lists_of_lines(tmp_path):
    path = tmp_path / "n.ipynb"
    cell = {"cell_type": "code", "source": ["x = 1\n", "x"], "metadata": {"tags": ["t"]}, "id": "a"}
    path.write_text(json.dumps({"nbformat": 4, "cells": [cell]}))
    [found] = read_notebook(path).code
    assert (found.source, found.tags, found.id) == ("x = 1\nx", ("t",), "a")


@pytest.mark.parametrize(
    "text", ["no JSON", "[]", "{}", '{"cells": [3]}', '{"cells": [{"source": "x"}]}', '{"cells": [], "nbformat": 3}']
)
def test_what_is_no_notebook_is_refused(tmp_path, text):
    path = tmp_path / "n.ipynb"
    path.write_text(text)
    with pytest.raises(UsageError, match="notebook"):
        read_notebook(path)


def test_a_file_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(UsageError, match="there is no notebook"):
        read_notebook(tmp_path / "none.ipynb")
