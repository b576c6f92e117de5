"""Cache keys: what a step means, part by part. Two steps of one key have one result. Pure.

The parts are kept with the result, so that it can be said which of them has changed.
"""

from __future__ import annotations

import difflib
import hashlib
import json
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["FORMAT", "PARTS", "code_diff", "differences", "identity_of", "key_of"]

FORMAT = 1
"""Changes when keys of an older cellyard must not be taken for ours."""

PARTS: Mapping[str, str] = {
    "code": "its code changed",
    "definitions": "{name} changed",
    "inputs": "{name} changed",
    "parameters": "parameter {name} is {new}, was {old}",
    "packages": "package {name} is {new}, was {old}",
    "modules": "module {name} changed",
    "files": "file {name} changed",
    "options": "option {name} is {new}, was {old}",
    "settings": "a setting before it changed",
    "random": "the random state before it is another one",
    "state": "the process state before it is another one",
    "python": "Python is {new}, was {old}",
}
"""Every part, with how a change of it is told."""
_RARE = frozenset({"state"})
"""Parts that count only where there is one."""


def key_of(parts: Mapping[str, Any]) -> str:
    """The key of these parts (texts, or texts by name): 64 hex digits. ``source`` is not among what counts."""
    counted = {part: parts.get(part) or "" for part in PARTS if parts.get(part) or part not in _RARE}
    text = json.dumps([FORMAT, counted], sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def identity_of(reference: Mapping[str, Any]) -> str:
    """What a value is known by as an input: the canonical digest of what was stored with it, where it has one, else the
    stored bytes."""
    return str(reference.get("canonical") or reference["id"])


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """What differs: the part, the name in it ("" where the part is one text), and a sentence."""
    for part, sentence in PARTS.items():
        before: Any = old.get(part) or ""
        after: Any = new.get(part) or ""
        if before == after:
            continue
        if not isinstance(before or {}, Mapping) or not isinstance(after or {}, Mapping):
            yield part, "", sentence.format(name="", old=before, new=after)
            continue
        was, now = dict(before or ()), dict(after or ())
        for name in sorted(was.keys() | now.keys()):
            if was.get(name) != now.get(name):
                yield part, name, _named(part, sentence, name, was.get(name), now.get(name))


def _named(part: str, sentence: str, name: str, old: Any, new: Any) -> str:
    if part in {"definitions", "inputs", "modules", "files"} and (old is None or new is None):
        kind = {"modules": "module ", "files": "file "}.get(part, "")
        return f"{kind}{name} is {'new' if old is None else 'no longer used'}"
    nothing = "not given"
    return sentence.format(name=name, old=nothing if old is None else old, new=nothing if new is None else new)


def code_diff(old: str, new: str) -> str:
    """The lines that changed, as a unified diff without its head."""
    lines = difflib.unified_diff(old.splitlines(), new.splitlines(), lineterm="", n=1)
    return "\n".join(line for line in list(lines)[2:])
