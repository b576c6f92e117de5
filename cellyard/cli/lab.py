"""``cellyard lab [NOTEBOOK]``."""

from __future__ import annotations

import argparse
import importlib.util
import os
import sys
from pathlib import Path

from cellyard.errors import UsageError

__all__ = ["EXAMPLE", "lab"]

EXAMPLE = Path(__file__).with_name("first-steps.ipynb")
"""A notebook that needs nothing but cellyard."""


def lab(arguments: argparse.Namespace) -> int:
    """Become JupyterLab, opened on a notebook. Raises UsageError where it is not installed."""
    if importlib.util.find_spec("jupyterlab") is None:
        raise UsageError("JupyterLab is not installed here: pip install 'cellyard[lab]'.")
    notebook = arguments.notebook or _example(Path.cwd())
    if not notebook.is_file():
        raise UsageError(f"there is no notebook {notebook}")
    command = [sys.executable, "-m", "jupyterlab", str(notebook), *arguments.options]
    sys.stdout.flush()
    os.execv(sys.executable, command)


def _example(folder: Path) -> Path:
    """The example, in the user's folder; one that is there already is theirs, and stays as it is."""
    place = folder / EXAMPLE.name
    if not place.exists():
        try:
            place.write_bytes(EXAMPLE.read_bytes())
        except OSError as error:
            raise UsageError(f"{place} cannot be written: {error.strerror or error}") from error
        print(f"wrote {place}")
    return place
