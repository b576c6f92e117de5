"""``cellyard run``: a notebook in a real kernel, or a bundle without one."""

from __future__ import annotations

import argparse

from cellyard.errors import UsageError

__all__ = ["run"]


def run(arguments: argparse.Namespace) -> int:
    """Run what the path is: a folder with a bundle, or a notebook."""
    if arguments.jobs < 1:
        raise UsageError("--jobs: at least one step has to run at a time")
    # Imported here: running a bundle needs no Jupyter, and a notebook no YAML.
    if arguments.notebook.is_dir():
        from cellyard.exporters.bundle_reading import is_bundle

        if is_bundle(arguments.notebook):
            from cellyard.cli.bundle import run_bundle

            return run_bundle(arguments)
    from cellyard.cli import notebook

    return notebook.run(arguments)
