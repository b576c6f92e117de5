"""From the text of a cell to its syntax tree, and what is wrong with a text that has none. Pure."""

from __future__ import annotations

import ast
import io
import tokenize
import warnings
from collections.abc import Callable

from cellyard.errors import InvalidCell

__all__ = ["Transform", "check_compiles", "ends_quiet", "parse_inner", "python_of", "tree_of"]

Transform = Callable[[str], str]
"""Turns IPython syntax into Python."""


def python_of(source: str, transform: Transform | None) -> str:
    """The cell as Python."""
    if transform is None:
        return source
    try:
        return transform(source)
    except SyntaxError as error:
        raise _invalid(error, source) from error


def tree_of(text: str) -> ast.Module:
    """The cell's syntax tree; raises :class:`InvalidCell`."""
    try:
        return _parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise _invalid(error, text) from error


def parse_inner(text: str, transform: Transform | None) -> ast.Module:
    """The tree of code inside a magic, its lines counted from the text's first; raises SyntaxError."""
    if transform is None:
        return _parse(text)
    tree = _parse(transform(text))
    # IPython's transformer drops empty lines at the start.
    blank = text[: len(text) - len(text.lstrip())].count("\n")
    return ast.increment_lineno(tree, blank) if blank else tree


def _parse(text: str) -> ast.Module:
    if "\\" not in text:
        return ast.parse(text)
    with warnings.catch_warnings():
        # An invalid escape is told when the cell runs; twice would be once too often.
        warnings.simplefilter("ignore")
        return ast.parse(text)


def check_compiles(text: str) -> None:
    """Raise :class:`InvalidCell` for what only the compiler refuses, such as ``return`` in a cell."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "<cell>", "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError) as error:
        raise _invalid(error, text) from error


def _invalid(error: Exception, text: str) -> InvalidCell:
    if not isinstance(error, SyntaxError):
        return InvalidCell(step="", line=1, column=1, reason=str(error) or type(error).__name__, text="")
    line = error.lineno or 1
    lines = text.splitlines()
    found = error.text or (lines[line - 1] if line <= len(lines) else "")
    return InvalidCell(step="", line=line, column=error.offset or 1, reason=error.msg, text=found.rstrip("\n"))


_INVISIBLE = frozenset({tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.DEDENT, tokenize.ENDMARKER})


def ends_quiet(text: str) -> bool:
    """Whether the last token of a cell is ``;``, by IPython's rule."""
    if ";" not in text:
        return False
    last = ""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type not in _INVISIBLE:
                last = token.string
    except (tokenize.TokenError, SyntaxError):
        return text.rstrip().endswith(";")
    return last == ";"
