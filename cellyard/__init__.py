"""cellyard: mark a notebook cell with ``%%step`` and run it on a worker of the size it asks for."""

from __future__ import annotations

__version__ = "0.1.0"

__all__ = ["__version__"]
