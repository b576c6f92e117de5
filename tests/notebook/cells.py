"""Notebooks written as texts."""

from __future__ import annotations

from typing import Any

from cellyard.model.pipeline import Pipeline
from cellyard.notebook import Notebook, notebook_of, pipeline_of

__all__ = ["document", "edges", "notebook", "pipeline"]

PARAMETERS = "#parameters\n"


def document(*cells: str) -> dict[str, Any]:
    """A notebook of nbformat 4; a cell that begins with "#parameters" is tagged so."""
    made = [
        {
            "cell_type": "code",
            "id": f"{number:08x}",
            "source": source,
            "metadata": {"tags": ["parameters"]} if source.startswith(PARAMETERS) else {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(cells)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": made}


def notebook(*cells: str) -> Notebook:
    """The same, read."""
    return notebook_of(document(*cells))


def pipeline(*cells: str, **values: Any) -> Pipeline:
    """The pipeline of such a notebook."""
    return pipeline_of(notebook(*cells), values)


def edges(found: Pipeline) -> dict[tuple[str, str], tuple[str, ...]]:
    """The names on each edge; where there are none, why it is there."""
    return {(edge.source, edge.target): edge.names or (edge.why,) for edge in found.edges}
