"""Completion of the ``%%step`` line."""

from __future__ import annotations

from typing import Any

from cellyard.model.step_line import complete

__all__ = ["complete_step_line"]


def complete_step_line(shell: Any, event: Any) -> list[str]:
    """Option names and likely values for the word at the cursor."""
    line: str = event.text_until_cursor
    return complete(line.partition("%%step")[2])
