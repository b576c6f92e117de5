"""Notebooks for tests of what is exported, made of their cells."""

from __future__ import annotations

import json
from pathlib import Path

__all__ = ["PLAIN", "write_notebook"]

PLAIN = (
    "%load_ext kernel_magics",
    "import helper\nfrom dataclasses import dataclass",
    "# parameters\nscale = 2\nlabel = 'a'",
    "@dataclass\nclass Point:\n    x: int\n    def moved(self):\n        return Point(helper.twice(self.x) * scale)",
    "# %% a comment that looks like a mark\nsize = 3",
    "%%step make --cpu 0.5 --memory 300MiB\npoints = [Point(i) for i in range(size)]\nprint('made', label)",
    "shown = len(points)",
    "plain = points[-1]",
    "%%step move --memory 300MiB\nmoved = [p.moved() for p in points]\nlast = plain.moved()\n"
    "text = open('data.txt').read()",
)
"""A notebook with parameters, classes, a module and a file beside it, and a plain cell that a step needs."""


def write_notebook(folder: Path, *cells: str, name: str = "work.ipynb") -> Path:
    """The notebook in the folder; a cell that begins with "# parameters" is tagged so."""
    content = {
        "cells": [
            {
                "cell_type": "code",
                "id": f"c{number}",
                "metadata": {"tags": ["parameters"]} if source.startswith("# parameters") else {},
                "execution_count": None,
                "outputs": [],
                "source": source,
            }
            for number, source in enumerate(cells)
        ],
        "metadata": {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}},
        "nbformat": 4,
        "nbformat_minor": 5,
    }
    path = folder / name
    path.write_text(json.dumps(content))
    return path
