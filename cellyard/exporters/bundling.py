"""Bundling: from a notebook's file to a bundle's folder, everything that it needs gathered on the way."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.exporters.base import Export, ExportRequest
from cellyard.exporters.bundle import MANIFEST, BundleExporter
from cellyard.exporters.bundle_needs import find_needs
from cellyard.notebook import read_notebook
from cellyard.settings import load_settings

__all__ = ["content_of", "make_bundle", "write_export"]


def make_bundle(notebook: Path, included: Mapping[str, bytes], *, name: str | None = None, lock: bool = True) -> Export:
    """The bundle of a notebook with what it needs. Raises UsageError, ModulesTooLarge and PackagesUnavailable."""
    content = content_of(notebook)
    read = read_notebook(notebook)
    needs = find_needs(notebook.absolute().parent, [cell.source for cell in read.code])
    options: dict[str, Any] = {"notebook": read, "modules": needs.modules, "python": needs.python}
    options |= {"name": name} if name else {}
    request = ExportRequest(
        notebook=notebook.name, content=content, files=included, settings=load_settings(), options=options
    )
    # Once without the lock: what is wrong with the notebook is told before registries are asked.
    made = BundleExporter().export(request)
    if lock:
        options["lock"] = needs.lock()
        made = BundleExporter().export(request)
    return Export(files=made.files, data=made.data, notes=(*made.notes, *needs.notes))


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
