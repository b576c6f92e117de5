"""The words of a raw cell, in whatever language it is written. Pure; never raises."""

from __future__ import annotations

import difflib
import keyword
import re
import unicodedata
from collections.abc import Iterable

__all__ = ["nearest_name", "token_names", "wants_all_names", "wants_definitions"]

_IDENTIFIER = r"[^\W\d]\w*"
_STRING = r"""[rRbBuUfFtT]{0,2}(?:\"{3}[\s\S]*?\"{3}|'{3}[\s\S]*?'{3}|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*')"""
_PYTHON = re.compile(rf"(?P<string>{_STRING})|(?P<comment>\#[^\n]*)|(?P<name>{_IDENTIFIER})")
_WORD = re.compile(_IDENTIFIER)
_FOREIGN_LINE = re.compile(r"^\s*[%!]|=\s*[%!]|\?\s*$", re.MULTILINE)
_KEYWORDS = frozenset(keyword.kwlist)


def token_names(source: str) -> frozenset[str]:
    """Every identifier in a cell, also in strings, magics and shell lines; of comments none.

    Where a line is not Python (``%time``, ``!echo``), nothing is taken for a comment. The cell need not parse.
    """
    found: set[str] = set()
    if _FOREIGN_LINE.search(source):
        found.update(_WORD.findall(source))
    else:
        for match in _PYTHON.finditer(source):
            if match["name"]:
                found.add(match["name"])
            elif match["string"]:
                found.update(_words_in_string(match["string"]))
    if not source.isascii():
        # Python reads identifiers in this normal form.
        found |= {unicodedata.normalize("NFKC", name) for name in found}
    return frozenset(found - _KEYWORDS)


def _words_in_string(text: str) -> list[str]:
    """The words of a string literal, without its prefix; escapes such as ``\\n`` must not eat a word's start."""
    body = text.lstrip("rRbBuUfFtT")
    words = _WORD.findall(body)
    if "\\" in body:
        words += _WORD.findall(re.sub(r"\\.", " ", body))
    return words


def nearest_name(name: str, candidates: Iterable[str]) -> str | None:
    """The candidate that ``name`` was most likely meant to be; None where none is near."""
    names = [candidate for candidate in candidates if candidate != name]
    folded = name.casefold()
    for candidate in names:
        if candidate.casefold() == folded:
            return candidate
    public = names if name.startswith("_") else [one for one in names if not one.startswith("_")]
    close = difflib.get_close_matches(name, public, n=1, cutoff=0.6)
    return close[0] if close else None


_WHOLE = re.compile(
    r"""
    ^\s*(?:\w+\s*=\s*)?%(?:who|who_ls|whos|reset|reset_selective|xdel|store|pinfo2?)\b
    | (?<![.\w])(?:globals|locals|vars|dir)\(\s*\)(?!\s*(?:\[|\.(?:get|pop|setdefault)\()\s*["'])
    | \b(?:unittest\.main|doctest\.(?:testmod|run_docstring_examples)|inspect\.getmembers)\(
    | \bsys\.modules\b(?!\s*(?:\[|\.(?:get|pop|setdefault)\()\s*["'](?!__main__))
    | ["']__main__["']\s*\)
    | \buser_ns\b(?!\s*(?:\[|\.(?:get|pop|setdefault)\()\s*["'])
    """,
    re.VERBOSE | re.MULTILINE,
)
_ASKED_FOR_ONE = re.compile(r"""["'][^"']*["']\s+(?:not\s+)?in\s+(?:globals|locals|vars|dir)\(\s*\)""")


def wants_all_names(source: str) -> bool:
    """Whether a raw cell may look at all names there are, which its words do not tell."""
    return _WHOLE.search(_ASKED_FOR_ONE.sub("", _without_comments(source))) is not None


def _without_comments(source: str) -> str:
    return _PYTHON.sub(lambda match: "" if match["comment"] else match[0], source) if "#" in source else source


_LOADS = re.compile(
    r"\b(?:pickle|cPickle|joblib|dill|cloudpickle|pd|pandas|torch)\.(?:loads?|read_pickle|Unpickler)\(|\b__subclasses__\(|\bUnpickler\("
)


def wants_definitions(source: str) -> bool:
    """Whether a raw cell may come upon classes and functions of the notebook that no word of it names: in a pickle, or
    among a class's subclasses."""
    return _LOADS.search(source) is not None
