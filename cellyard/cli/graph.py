"""``cellyard graph NOTEBOOK``: the pipeline that a notebook is, drawn."""

from __future__ import annotations

import argparse
import json

from cellyard.notebook import draw_mermaid, draw_text, parameter_values, parse_assignments, pipeline_of, read_notebook

__all__ = ["graph"]


def graph(arguments: argparse.Namespace) -> int:
    """Draw it; 1 when it has errors. Needs no engine."""
    notebook = read_notebook(arguments.notebook)
    found = pipeline_of(notebook)
    if arguments.parameters:
        found = pipeline_of(notebook, parameter_values(found.parameters, parse_assignments(arguments.parameters)))
    if arguments.format == "json":
        print(json.dumps(found.to_dict(), indent=2))
    else:
        print({"text": draw_text, "mermaid": draw_mermaid}[arguments.format](found))
    return 1 if found.errors else 0
