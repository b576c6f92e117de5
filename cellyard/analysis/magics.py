"""What IPython's magics and shell lines do to names, where that can be told. Pure.

The reader meets them in the form that IPython's transformer gives them:
``get_ipython().run_line_magic('time', 'f(x)')``."""

from __future__ import annotations

import ast
import re
from typing import NamedTuple

from cellyard.analysis.purity import words

__all__ = ["SHELL_CALLS", "InnerCode", "MagicEffect", "magic_effect", "shell_names"]

SHELL_CALLS: frozenset[str] = frozenset({"run_line_magic", "run_cell_magic", "system", "getoutput"})

_QUIET = words(
    """
    HTML SVG alias alias_magic automagic autoreload bash cd colors conda config dhist doctest_mode env
    gui history html javascript js latex load_ext logstart logstop ls lsmagic magic mamba markdown
    matplotlib micromamba mkdir perl pip precision pwd quickref reload_ext ruby set_env sh svg
    unload_ext uv watermark writefile xmode
    """
)
"""Magics that use no variables but those that their text expands."""

_RUNS_CODE = frozenset({"time", "timeit", "prun", "capture"})
_EXPANSION = re.compile(r"(?<!\$)\$\{?([^\W\d]\w*)|\{([^{}]*)\}")
_WORD = re.compile(r"[^\W\d]\w*")
_OPTIONS = re.compile(r"\s*(?:-{1,2}[A-Za-z][\w-]*(?:[ =]?\d+)?\s+)*")
_OF_PRUN = re.compile(r"\s*(?:-[lsTD] ?\S+\s+|-{1,2}[A-Za-z][\w-]*\s+)*")
_CAPTURE_NAME = re.compile(r"\s*([^\W\d]\w*)")


class InnerCode(NamedTuple):
    """Python inside a magic: its text, on which line (from the magic's own) it starts, and whether it binds
    names."""

    text: str
    line: int
    binds: bool


class MagicEffect(NamedTuple):
    """What a magic does: the code that it runs, the names that it binds and reads, and whether more is
    possible."""

    code: tuple[InnerCode, ...] = ()
    binds: tuple[str, ...] = ()
    names: frozenset[str] = frozenset()
    dynamic: bool = True


def magic_effect(method: str, arguments: list[ast.expr]) -> MagicEffect:
    """The effect of ``get_ipython().<method>(*arguments)``; anything not understood is dynamic."""
    texts: list[str] = []
    for argument in arguments:
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
            texts.append(argument.value)
    if len(texts) < len(arguments) or not texts:
        return MagicEffect()
    if method in {"system", "getoutput"}:
        names = shell_names(texts[0])
        binds = ("_exit_code",) if method == "system" else ()
        return MagicEffect(binds=binds, names=names, dynamic=bool(names))
    name, line, cell = (*texts, "", "")[:3]
    names = shell_names(line)
    if name in _QUIET:
        if method == "run_cell_magic" and name not in {"writefile"}:
            names |= shell_names(cell) if name in {"bash", "sh"} else frozenset()
        return MagicEffect(names=names, dynamic=bool(names))
    if name in _RUNS_CODE:
        return _running(name, line, cell, names)
    return MagicEffect(names=names)


def _running(name: str, line: str, cell: str, names: frozenset[str]) -> MagicEffect:
    if name == "capture":
        target = _CAPTURE_NAME.match(line)
        binds = (target[1],) if target else ()
        return MagicEffect((InnerCode(cell, 1, binds=True),), binds, dynamic=False)
    options = _OF_PRUN if name == "prun" else _OPTIONS
    rest = line[len((options.match(line + " ") or [""])[0].rstrip()) :].strip()
    binding = name != "timeit"
    code = tuple(InnerCode(text, at, binding) for text, at in ((rest, 0), (cell, 1)) if text.strip())
    return MagicEffect(code, names=names, dynamic=bool(names) or bool(re.search(r"(^|\s)-o\b", line)))


def shell_names(text: str) -> frozenset[str]:
    """The names that IPython may expand in a shell line or a magic's line: ``$x`` and those in ``{…}``."""
    found: set[str] = set()
    for match in _EXPANSION.finditer(text):
        found.update([match[1]] if match[1] else _WORD.findall(match[2]))
    return frozenset(found)
