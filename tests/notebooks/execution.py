"""Notebooks run in a real kernel, with their %%step lines and without; and what came of them."""

from __future__ import annotations

import json
import os
import re
import symtable
import sysconfig
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

from tests.house.source_tree import ROOT

__all__ = ["Executed", "execute", "is_step", "looked", "read", "with_look", "without_steps"]

MAGICS = ("%", "!")
_RACE = re.compile(
    rf"({re.escape(sysconfig.get_path('purelib'))}|/opt/cellyard/lib/python[\d.]+/site-packages)"
    r"/sklearn/utils/parallel\.py:\d+: UserWarning: `sklearn\.utils\.parallel\.delayed`.*\n  warnings\.warn\(\n"
)
"""What scikit-learn says now and then, plainly too: its threads change the process's warning filters beside each
other, and one finds them empty."""


@dataclass(frozen=True)
class Executed:
    """What a notebook showed, cell by cell, and the values that its names had at the end."""

    outputs: dict[str, Any]
    values: dict[str, Any]
    sharing: list[list[str]]
    pid: int
    """The kernel's."""


def read(path: Path) -> NotebookNode:
    """The notebook, checked against the format, without outputs."""
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    return notebook


def is_step(cell: NotebookNode) -> bool:
    """Whether a cell is marked."""
    return bool(cell.cell_type == "code" and cell.source.startswith("%%step"))


def without_steps(notebook: NotebookNode) -> NotebookNode:
    """The same notebook with its %%step lines removed, and nothing else changed."""
    plain = nbformat.from_dict(json.loads(json.dumps(notebook)))
    for cell in plain.cells:
        if is_step(cell):
            cell.source = cell.source.partition("\n")[2]
    return plain


def execute(notebook: NotebookNode, folder: Path, env: Mapping[str, str], *, timeout: int = 120) -> Executed:
    """Run the notebook from top to bottom in a new kernel; afterwards, in the same kernel, look at its values.

    An error in a cell is raised, as nbclient's CellExecutionError.
    """
    run = with_look(notebook, folder)
    client = NotebookClient(run, timeout=timeout, kernel_name="python3", resources={"metadata": {"path": str(folder)}})
    client.execute(env={**os.environ, **env})
    return looked(run, folder)


def with_look(notebook: NotebookNode, folder: Path) -> NotebookNode:
    """The notebook with a last cell that writes down the values of all names, in that folder."""
    found = nbformat.from_dict(json.loads(json.dumps(notebook)))
    found.cells.append(nbformat.v4.new_code_cell(_look(_names(found), folder / "values.json"), id="look-at-values"))
    return found


def looked(run: NotebookNode, folder: Path) -> Executed:
    """What such a notebook came to, which has run."""
    found = json.loads((folder / "values.json").read_text(encoding="utf-8"))
    shown = {cell.id: _shown(cell) for cell in run.cells if cell.cell_type == "code" and cell.id != "look-at-values"}
    return Executed(outputs=shown, **found)


def _look(names: list[str], target: Path) -> str:
    """A plain cell that writes the values of the names as JSON."""
    pairs = ", ".join(f"{name!r}: {name}" for name in names)
    return (
        f"import json, os, sys\nfrom pathlib import Path\nsys.path.insert(0, {str(ROOT)!r})\n"
        "from tests.notebooks.values import describe, sharing\n"
        f"_values = {{{pairs}}}\n"
        "_seen = {'values': {name: describe(value) for name, value in _values.items()}}\n"
        "_seen |= {'sharing': sharing(_values), 'pid': os.getpid()}\n"
        f"_ = Path({str(target)!r}).write_text(json.dumps(_seen), encoding='utf-8')"
    )


def _names(notebook: NotebookNode) -> list[str]:
    """Every name that the notebook's cells bind at their top level, imports aside."""
    found: set[str] = set()
    for cell in notebook.cells:
        if cell.cell_type == "code":
            lines = [line for line in cell.source.splitlines() if not line.startswith(MAGICS)]
            top = symtable.symtable("\n".join(lines), cell.id, "exec")
            found |= {one.get_name() for one in top.get_symbols() if one.is_assigned() and not one.is_imported()}
    return sorted(name for name in found if not name.startswith("_"))


def _shown(cell: NotebookNode) -> dict[str, Any]:
    """The cell's number and outputs. Neighbouring stream messages count as one text for each stream."""
    return {"execution_count": cell.execution_count, "outputs": list(_merged(cell.outputs))}


def _merged(outputs: list[NotebookNode]) -> Iterator[Any]:
    for is_stream, group in groupby(outputs, key=lambda output: output.output_type == "stream"):
        if not is_stream:
            yield from (json.loads(json.dumps(output)) for output in group)
            continue
        # Where a kernel cuts its streams, and how it weaves stdout and stderr, is a matter of timing.
        texts: dict[str, str] = {}
        for output in group:
            texts[output.name] = texts.get(output.name, "") + output.text
        yield {name: _RACE.sub("", text) for name, text in sorted(texts.items())}
