"""How cases say which names a line of code has: ``reads > writes - deletes ! mutates``; parts may be left out."""

from __future__ import annotations

import re

from cellyard.analysis import Facts

__all__ = ["parsed", "told"]


def parsed(text: str) -> dict[str, set[str]]:
    match = re.fullmatch(r"([^>!]*)(?:>([^-!]*)(?:-([^!]*))?)?(?:!(.*))?", text)
    assert match is not None, text
    keys = ("reads", "writes", "deletes", "mutates")
    return {key: set((part or "").split()) for key, part in zip(keys, match.groups(), strict=True)}


def told(facts: Facts) -> dict[str, set[str]]:
    return {key: set(getattr(facts, key)) for key in ("reads", "writes", "deletes", "mutates")}
