"""The routes about whole notebooks: what pipeline one is. Each reads its request and writes the answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from cellyard.errors import UsageError
from cellyard.model.pipeline import Pipeline

__all__ = ["router"]

Json = dict[str, Any]
router = APIRouter()


class NotebookRequest(BaseModel):
    """A notebook: by the path of its file on this machine, or as it is (a document of nbformat 4). ``parameters``:
    values that are not the defaults."""

    path: str | None = None
    notebook: Json | None = None
    parameters: Json = Field(default_factory=dict)


@router.post("/v1/pipelines")
async def pipeline(wanted: NotebookRequest) -> JSONResponse:
    """The steps of a notebook, what goes from one to another, its parameters, and what is wrong with it."""
    found = await asyncio.to_thread(_pipeline, wanted)
    return JSONResponse(found.to_dict())


def _pipeline(wanted: NotebookRequest) -> Pipeline:
    # Imported when first asked for: most engines never are.
    from cellyard.notebook import notebook_of, parameter_values, pipeline_of, read_notebook

    if (wanted.path is None) == (wanted.notebook is None):
        raise UsageError("say which notebook: either its path or the notebook itself")
    notebook = read_notebook(Path(wanted.path)) if wanted.path is not None else notebook_of(wanted.notebook)
    found = pipeline_of(notebook)
    if not wanted.parameters:
        return found
    return pipeline_of(notebook, parameter_values(found.parameters, wanted.parameters))
