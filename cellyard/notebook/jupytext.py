"""Scripts that jupytext takes for notebooks: the percent format (``# %%``) and the light one. Pure: text in, nbformat's
document out."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

__all__ = ["cells_of_script"]

_MARK = re.compile(r"#\s*%%(?!%)(?:\s+(?P<title>.*?))?\s*$")
_KIND = re.compile(r"\[(markdown|md|raw|code)\]")
_OPTION = re.compile(r"""([A-Za-z_][\w.-]*)\s*=\s*("(?:\\.|[^"\\])*"|\[[^\]]*\]|[\w.+-]+)""")
_MAGIC = re.compile(r"#\s?(%{1,2}[A-Za-z]|!)")
_HEADER = re.compile(r"\A# ---\n(?:#.*\n)*?# ---\n")
_LIGHT_START = re.compile(r"#\s*\+\s*(?P<title>.*)$")
_LIGHT_END = re.compile(r"#\s*-\s*$")


def cells_of_script(text: str) -> dict[str, Any]:
    """The notebook (a document of nbformat 4) that the script is; magics that are commented out there are magics."""
    body = _HEADER.sub("", text)
    lines = body.splitlines()
    cells = _percent(lines) if any(_MARK.match(line) for line in lines) else _light(lines)
    made = [_cell(number, *each) for number, each in enumerate(cells)]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": _KERNEL}, "cells": made}


_KERNEL = {"name": "python3", "display_name": "Python 3", "language": "python"}
_Found = tuple[str, list[str], dict[str, Any]]


def _percent(lines: list[str]) -> Iterator[_Found]:
    kind, options, block = "code", {}, []  # type: tuple[str, dict[str, Any], list[str]]
    for line in lines:
        match = _MARK.match(line)
        if match is None:
            block.append(line)
            continue
        if any(each.strip() for each in block):
            yield kind, block, options
        kind, options, block = (*_title(match["title"] or ""), [])
    if any(each.strip() for each in block):
        yield kind, block, options


def _title(title: str) -> tuple[str, dict[str, Any]]:
    found = _KIND.search(title)
    kind = {"md": "markdown"}.get(found[1], found[1]) if found else "code"
    return kind, {key: _value(text) for key, text in _OPTION.findall(title)}


def _value(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _light(lines: list[str]) -> Iterator[_Found]:
    """Paragraphs are cells, text is in comments, ``# +`` and ``# -`` hold together what has empty lines."""
    block: list[str] = []
    options: dict[str, Any] = {}
    held = False
    following = _following(lines)
    for line, after in zip([*lines, "", ""], following, strict=True):
        start = None if held else _LIGHT_START.match(line)
        if start is not None or (held and _LIGHT_END.match(line)):
            yield from _paragraph(block, options)
            block, held = [], start is not None
            options = _title(start["title"])[1] if start is not None else {}
        elif not held and not line.strip() and after[:1] not in (" ", "\t") and not _goes_on(block):
            yield from _paragraph(block, options)
            block, options = [], {}
        else:
            block.append(line)
    yield from _paragraph(block, options)


def _following(lines: list[str]) -> list[str]:
    """For each line, and for two more, the next one that is not empty."""
    found, after = ["", ""], ""  # in reverse
    for line in reversed(lines):
        found.append(after)
        after = line if line.strip() else after
    return found[::-1]


def _goes_on(block: list[str]) -> bool:
    """Whether an empty line is inside something: what comes before it does not yet compile."""
    text = "\n".join(block)
    try:
        compile(text, "<cell>", "exec")
    except SyntaxError:
        return not all(line.startswith("#") for line in block)
    return False


def _paragraph(block: list[str], options: dict[str, Any]) -> Iterator[_Found]:
    if not any(line.strip() for line in block):
        return
    is_text = all(line.startswith("#") for line in block if line.strip()) and not _MAGIC.match(block[0])
    yield ("markdown" if is_text and not options else "code"), block, options


def _cell(number: int, kind: str, block: list[str], options: dict[str, Any]) -> dict[str, Any]:
    if kind != "code":
        block = [re.sub(r"^#( |$)", "", line) for line in block]
    else:
        block = list(_with_magics(block))
    source = "\n".join(block).strip("\n")
    tags = options.get("tags") or []
    metadata = {"tags": tags if isinstance(tags, list) else [tags]} if tags else {}
    made: dict[str, Any] = {"cell_type": kind, "id": f"part-{number}", "metadata": metadata, "source": source}
    return made | ({"outputs": [], "execution_count": None} if kind == "code" else {})


def _with_magics(block: list[str]) -> Iterator[str]:
    """Lines of code as the notebook has them. In a cell that is all comments and begins with ``%%``, every line is."""
    first = next((line for line in block if line.strip()), "")
    is_all = first.startswith("# %%") and all(line.startswith("#") for line in block if line.strip())
    for line in block:
        if is_all or _MAGIC.match(line):
            yield re.sub(r"^# ?", "", line)
        else:
            yield line
