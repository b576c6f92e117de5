"""``cellyard export NOTEBOOK --to bundle``: gather, export, lock, write."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.exporters import Export, ExportRequest, create_exporter
from cellyard.exporters.bundle_needs import find_needs
from cellyard.notebook import read_notebook
from cellyard.settings import load_settings

__all__ = ["export_bundle", "make_bundle", "write_export"]


def export_bundle(arguments: argparse.Namespace) -> int:
    """Write the bundle, and say what is in it."""
    for name in ("schedule", "timezone", "secret", "service_account", "apply", "deadline"):
        if getattr(arguments, name):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is of no use to a bundle: schedule it with `cellyard schedule add DIR`.")
    included = {_relative(path, arguments.notebook): _content(path) for path in arguments.include}
    made = make_bundle(arguments.notebook, included, name=arguments.name, lock=not arguments.no_lock)
    write_export(made, arguments.output)
    for note in made.notes:
        print(f"note: {note}")
    print(f"wrote {len(made.files) + len(made.data)} files to {arguments.output}")
    return 0


def make_bundle(notebook: Path, included: Mapping[str, bytes], *, name: str | None = None, lock: bool = True) -> Export:
    """The bundle of a notebook with what it needs. Raises UsageError, ModulesTooLarge and PackagesUnavailable."""
    content = _content(notebook)
    read = read_notebook(notebook)
    needs = find_needs(notebook.absolute().parent, [cell.source for cell in read.code])
    options: dict[str, Any] = {"notebook": read, "modules": needs.modules, "python": needs.python}
    options |= {"name": name} if name else {}
    request = ExportRequest(
        notebook=notebook.name, content=content, files=included, settings=load_settings(), options=options
    )
    # Once without the lock: what is wrong with the notebook is told before registries are asked.
    made = create_exporter("bundle").export(request)
    if lock:
        options["lock"] = needs.lock()
        made = create_exporter("bundle").export(request)
    return Export(files=made.files, data=made.data, notes=(*made.notes, *needs.notes))


def write_export(made: Export, folder: Path) -> None:
    """Each file whole, or not at all; a bundle's steps are those of this export alone."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "pipeline.yaml").is_file():
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


def _relative(path: Path, notebook: Path) -> str:
    """The file's place beside the notebook, as the notebook's code would find it."""
    try:
        return path.absolute().relative_to(notebook.absolute().parent).as_posix()
    except ValueError:
        return path.name


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from error
