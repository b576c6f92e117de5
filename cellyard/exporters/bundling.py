"""Bundling: from a notebook's file to a bundle's folder, everything that it needs gathered on the way."""

from __future__ import annotations

import math
import re
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.exporters.base import Export, Exporter, ExportRequest
from cellyard.exporters.bundle import MANIFEST, BundleExporter
from cellyard.exporters.bundle_needs import find_needs
from cellyard.notebook import Notebook, parameter_values, read_notebook
from cellyard.notebook.building import pipeline_of
from cellyard.notebook.roles import read_cells
from cellyard.settings import load_settings

__all__ = ["bundle_for_job", "content_of", "make_bundle", "write_export"]

_README = "README.md"
_FIGURES = re.compile(r"^\s*%matplotlib\b", re.MULTILINE)


def make_bundle(
    notebook: Path,
    included: Mapping[str, bytes],
    *,
    name: str | None = None,
    lock: bool = True,
    given: Mapping[str, str] | None = None,
    exporter: Exporter | None = None,
) -> Export:
    """The bundle of a notebook with what it needs; ``given`` are other defaults for its parameters, ``exporter`` is
    another one that writes bundles. Raises UsageError, ModulesTooLarge and PackagesUnavailable."""
    exporter = exporter or BundleExporter()
    content = content_of(notebook)
    read = _with_defaults(read_notebook(notebook), given or {})
    needs = find_needs(notebook.absolute().parent, _modules(read))
    options: dict[str, Any] = {"notebook": read, "modules": needs.modules, "python": needs.python}
    options |= {"name": name} if name else {}
    request = ExportRequest(
        notebook=notebook.name, content=content, files=included, settings=load_settings(), options=options
    )
    # Once without the lock: what is wrong with the notebook is told before registries are asked.
    made = exporter.export(request)
    if lock:
        options["lock"] = needs.lock()
        made = exporter.export(request)
    return Export(files=made.files, data=made.data, notes=(*made.notes, *needs.notes))


def _modules(notebook: Notebook) -> set[str]:
    """The modules that its cells import when they run, read as Python: a line of a magic hides none."""
    readings, _ = read_cells(notebook)
    found = {name for each in readings for name in each.facts.imported_modules}
    return found | {"matplotlib" for each in readings if _FIGURES.search(each.cell.source)}


def bundle_for_job(
    notebook: Path, included: Mapping[str, bytes], given: Mapping[str, str] | None = None
) -> tuple[dict[str, bytes] | None, list[str]]:
    """The bundle's files that a job needs, whose environment is its image; and sentences for the person. None for a
    notebook without steps, and for one that cannot run as a pipeline: the job then runs the notebook itself."""
    if notebook.is_dir():
        return _files_of(notebook), []
    pipeline = pipeline_of(read_notebook(notebook))
    if given and (pipeline.errors or not pipeline.steps):
        raise UsageError(f"{notebook.name} is no pipeline: its parameters are set in the notebook itself.")
    if not pipeline.steps and not pipeline.errors:
        return None, []
    if pipeline.errors:
        return None, [f"the job runs the notebook itself, which is no pipeline: {pipeline.errors[0]}"]
    made = make_bundle(notebook, included, lock=False, given=given)
    texts = {name: text.encode() for name, text in made.files.items() if name != _README}
    return {**texts, **made.data}, list(made.notes)


def _files_of(bundle: Path) -> dict[str, bytes]:
    """Those of a bundle that somebody has exported, and perhaps changed, before."""
    if not (bundle / MANIFEST).is_file():
        raise UsageError(f"there is no bundle in {bundle}: it has no {MANIFEST}.")
    names = [path for path in sorted(bundle.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]
    left_out = {_README, "pylock.toml", "proof.json", "proof.md"}
    found = {path.relative_to(bundle).as_posix(): path for path in names}
    return {name: content_of(path) for name, path in found.items() if name not in left_out}


def _with_defaults(notebook: Notebook, given: Mapping[str, str]) -> Notebook:
    """The notebook with other defaults: what its parameters' cells say last. Raises UsageError."""
    if not given:
        return notebook
    parameters = pipeline_of(notebook).parameters
    cells = {each.name: each.cell for each in parameters}
    said: dict[int, list[str]] = {}
    for name, value in parameter_values(parameters, given).items():
        # inf and nan are no literals.
        written = f"float({str(value)!r})" if isinstance(value, float) and not math.isfinite(value) else repr(value)
        said.setdefault(cells[name], []).append(f"{name} = {written}")
    changed = (replace(cell, source="\n".join([cell.source, *said.get(cell.index, ())])) for cell in notebook.cells)
    return replace(notebook, cells=tuple(changed))


def write_export(made: Export, folder: Path) -> None:
    """Each file whole, or not at all; a bundle's steps are those of this export alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / MANIFEST).is_file():
            shutil.rmtree(folder / "steps", ignore_errors=True)
        contents = {name: text.encode() for name, text in made.files.items()} | dict(made.data)
        for name, content in contents.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.unfinished")
            unfinished.write_bytes(content)
            unfinished.replace(path)
    except OSError as error:
        raise UsageError(f"{folder} cannot be written to: {error.strerror or error}") from error


def content_of(path: Path) -> bytes:
    """The file's bytes. Raises UsageError when it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
