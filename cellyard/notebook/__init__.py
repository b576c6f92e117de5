"""Notebook files in, pipelines out. Nothing is run.

reading, jupytext    ``.ipynb`` and jupytext's ``.py`` as cells
parameters           the cell tagged ``parameters``, and values given as text
effects, nodes       what a cell surely changes in place, and in the process
roles                what each cell is: parameters, preamble, step, or plain
building             the pipeline: versions of names, edges, problems
drawing              a pipeline as text and as Mermaid
"""

from __future__ import annotations

from cellyard.notebook.building import pipeline_of
from cellyard.notebook.drawing import draw_mermaid, draw_text
from cellyard.notebook.parameters import parameter_values, parse_assignments
from cellyard.notebook.reading import Cell, Notebook, notebook_of, read_notebook

__all__ = [
    "Cell",
    "Notebook",
    "draw_mermaid",
    "draw_text",
    "notebook_of",
    "parameter_values",
    "parse_assignments",
    "pipeline_of",
    "read_notebook",
]
