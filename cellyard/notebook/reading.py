"""Notebooks as they are on disk: ``.ipynb``, and ``.py`` as jupytext writes it. Text in, cells out.

nbformat is not used: importing it takes longer than all else that a run with nothing to do needs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.notebook.jupytext import cells_of_script

__all__ = ["Cell", "Notebook", "notebook_of", "read_notebook"]


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell: ``kind`` is "code", "markdown" or "raw"; ``tags`` those of its metadata."""

    index: int
    kind: str
    source: str
    id: str | None = None
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Notebook:
    """The cells of a notebook in order. ``content`` is the notebook as nbformat has it: what an executed copy of it
    starts from."""

    name: str
    cells: tuple[Cell, ...]
    content: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def code(self) -> tuple[Cell, ...]:
        """The cells of code that are not empty."""
        return tuple(cell for cell in self.cells if cell.kind == "code" and cell.source.strip())


def read_notebook(path: Path) -> Notebook:
    """The notebook in a file. Raises UsageError for a file that is not there or is not a notebook."""
    if not path.is_file():
        raise UsageError(f"there is no notebook {path}")
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a notebook: {error}") from error
    if path.suffix == ".py":
        return notebook_of(cells_of_script(text), str(path))
    try:
        content = json.loads(text)
    except ValueError as error:
        raise UsageError(f"{path} is not a notebook: {error}") from error
    return notebook_of(content, str(path))


def notebook_of(content: Any, name: str = "the notebook") -> Notebook:
    """The notebook that a document of nbformat 4 holds. Raises UsageError for anything else."""
    if not isinstance(content, dict) or not isinstance(content.get("cells"), list):
        raise UsageError(f"{name} is not a notebook: it has no cells")
    if content.get("nbformat", 4) != 4:
        raise UsageError(f"{name} is not a notebook of format 4: open it in JupyterLab and save it")
    cells = tuple(_cell(index, each, name) for index, each in enumerate(content["cells"]))
    return Notebook(name, cells, content)


def _cell(index: int, data: Any, name: str) -> Cell:
    try:
        source = data["source"]
        text = source if isinstance(source, str) else "".join(source)
        metadata = data.get("metadata") or {}
        tags = tuple(str(tag) for tag in metadata.get("tags") or ())
        return Cell(index, str(data["cell_type"]), text, data.get("id"), tags)
    except (KeyError, TypeError, AttributeError) as error:
        raise UsageError(f"{name} is not a notebook: cell {index + 1} is damaged") from error
