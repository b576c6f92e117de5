"""``cellyard export NOTEBOOK --to bundle``: gather, export, lock, write."""

from __future__ import annotations

import argparse
from pathlib import Path

from cellyard.errors import UsageError
from cellyard.exporters.bundling import content_of, make_bundle, write_export

__all__ = ["export_bundle"]


def export_bundle(arguments: argparse.Namespace) -> int:
    """Write the bundle, and say what is in it."""
    for name in ("schedule", "timezone", "secret", "service_account", "apply", "deadline"):
        if getattr(arguments, name):
            option = name.replace("_", "-")
            raise UsageError(f"--{option} is of no use to a bundle: schedule it with `cellyard schedule add DIR`.")
    included = {_relative(path, arguments.notebook): content_of(path) for path in arguments.include}
    made = make_bundle(arguments.notebook, included, name=arguments.name, lock=not arguments.no_lock)
    write_export(made, arguments.output)
    for note in made.notes:
        print(f"note: {note}")
    print(f"wrote {len(made.files) + len(made.data)} files to {arguments.output}")
    return 0


def _relative(path: Path, notebook: Path) -> str:
    """The file's place beside the notebook, as the notebook's code would find it."""
    try:
        return path.absolute().relative_to(notebook.absolute().parent).as_posix()
    except ValueError:
        return path.name
