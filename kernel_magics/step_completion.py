"""Completion of the ``%%step`` line."""

from __future__ import annotations

from typing import Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult, context_matcher

from cellyard.model.step_line import complete

__all__ = ["match_step_line"]

_MAGIC = "%%step "


@context_matcher(identifier="cellyard.step_line")  # type: ignore[untyped-decorator]
def match_step_line(context: CompletionContext) -> Any:
    """Option names and likely values for the word at the cursor, and nothing of Python's names beside them."""
    line = context.text_until_cursor
    if context.cursor_line or not line.startswith(_MAGIC):
        return SimpleMatcherResult(completions=[], suppress=False)
    word = line.rpartition(" ")[2]
    found = [SimpleCompletion(text=text, type="option") for text in complete(line)]
    # A word is what a space ends: IPython would begin a new one at "=".
    return SimpleMatcherResult(completions=found, matched_fragment=word, suppress=True, ordered=True)
