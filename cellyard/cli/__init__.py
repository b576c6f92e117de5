"""The command line.

arguments           what can be typed, and the one place where errors become exit codes
engine, runs, store  the commands about the engine, about runs, about stored values
notebook            ``cellyard run``: a notebook from top to bottom, in a real kernel
progress, tables    what is seen of it
"""

from __future__ import annotations

from cellyard.cli.arguments import main

__all__ = ["main"]
