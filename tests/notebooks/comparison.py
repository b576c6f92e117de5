"""One comparison for cells run plainly and as steps: outputs in order, names, values, types, identities, errors."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from cellyard.worker.comms import NOTE
from tests.house.source_tree import ROOT
from tests.notebooks.kernels import Kernel, Ran
from tests.notebooks.written import Notebook

__all__ = ["Difference", "compare", "prepare"]

PATIENCE = 300.0
"""Seconds for a cell: a busy machine is no difference."""
FRESH = "__import__('tests.notebooks.fresh', fromlist=['fresh'])"
LIKENESS = f"__import__('tests.notebooks.likeness', fromlist=['likeness']).likeness(globals(), {FRESH}.names())"
_ANSI = re.compile(r"\x1b\[[0-9;]*m")
_ID = re.compile(r"\b[0-9a-f]{32}\b")
_CELL = re.compile(r"/tmp/ipykernel_\d+/\d+\.py")
_CHANGING = [
    (re.compile(r"0x[0-9a-fA-F]+"), "0x"),
    (re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b"), "UUID"),
    (_ID, "ID"),
    (_CELL, "CELL"),
    (re.compile(r"\bT_[0-9a-f]{5}"), "T_"),  # what a styled frame calls its table
    (re.compile(r"sk-(container|estimator)-id(-[0-9a-f]{12})?-\d+"), r"sk-\1-id"),
    (re.compile(r"<ipython-input-[0-9a-z-]+>|\b\d{7,}\.py\b"), "CELL"),
    (re.compile(r"\b\d+(\.\d+)?(e\+\d+)? ?(ns|us|μs|µs|ms|s|min)\b"), "TIME"),
    (re.compile(r"\d+:\d\d<\d+:\d\d|\d+:\d\d<\?|[\d.]+(it/s|s/it)|\?it/s"), "RATE"),
    (re.compile(r"RATE\] +"), "RATE]"),
    (re.compile(r"\b[mpc][0-9a-f]{10}\b"), "MARK"),  # in SVG
    (re.compile(r"<dc:date>.*</dc:date>"), ""),
    (re.compile(r"^in step '.*' on worker .*$\n?", re.MULTILINE), ""),
    (re.compile(r"^(-*>? *1 )(%%step|# plain)$", re.MULTILINE), r"\1"),
    (re.compile(r"^(%%step|# plain)\n", re.MULTILINE), ""),  # in a history
]


@dataclass(frozen=True)
class Difference:
    """One thing that was not the same."""

    place: str
    source: str
    what: str
    plain: Any
    step: Any

    def __str__(self) -> str:
        return f"{self.place}: {self.what} differs after\n{self.source}\n  plain: {self.plain}\n  step:  {self.step}\n"


def prepare(kernel: Kernel) -> None:
    """Have the kernel ready for :func:`compare`, as it is now."""
    kernel.client.allow_stdin = True
    kernel.answer = "an answer to {}".format
    kernel.look(f"__import__('sys').path.insert(0, {str(ROOT)!r})")
    kernel.look(f"{FRESH}.remember(get_ipython())")


def compare(
    kernels: tuple[Kernel, Kernel], notebook: Notebook, marked: Callable[[Notebook, int], bool], *, look: bool = True
) -> Iterator[Difference]:
    """Run the notebook in both kernels, with some cells of the second marked. With ``look`` the names are compared
    after each cell, else only at the end. Ends with the first cell that differs: what follows would as well."""
    level(kernels)
    for kernel in kernels:
        kernel.look(f"{FRESH}.restore()")
    for at, cell in enumerate(notebook.cells):
        is_step = cell.may_be_step and marked(notebook, at)
        head = "" if cell.is_bare or cell.source.startswith("%%") else "# plain\n"
        looks = look or at == len(notebook.cells) - 1
        marked_head = "%%step\n" if is_step else head
        ids = [kernel.begin(text + cell.source) for kernel, text in zip(kernels, (head, marked_head), strict=True)]
        plain, step = (_outcome(kernel, id, looks) for kernel, id in zip(kernels, ids, strict=True))
        source = ("%%step\n" if is_step else "") + cell.source
        if cell.is_noted and is_step:
            step["outputs"] = _without_note(step["outputs"])
        if step["error"] and step["error"][0] == "UnknownName" and plain["error"]:
            continue  # told before the cell ran; a NameError would have come later
        found = [
            Difference(notebook.place, source, what, *_narrowed(plain[what], step[what]))
            for what in plain
            if plain[what] != step[what]
        ]
        yield from found
        if found:
            return


def _without_note(outputs: list[Any]) -> list[Any]:
    """A step's outputs without the note that its widgets are only shown, which must be among them."""
    texts = next(each for each in outputs if NOTE in each.get("stderr", ""))
    texts["stderr"] = texts["stderr"].replace(NOTE, "")
    return [each for each in outputs if each is not texts or any(texts.values())]


def level(kernels: tuple[Kernel, Kernel]) -> None:
    """Both kernels count their next cell alike."""
    numbers = [kernel.look("get_ipython().execution_count") for kernel in kernels]
    for kernel, number in zip(kernels, numbers, strict=True):
        kernel.look(f"setattr(get_ipython(), 'execution_count', {max(numbers)})")
        for _ in range(max(numbers) - number):
            kernel.look("In.append('')")


def _narrowed(one: Any, other: Any) -> tuple[Any, Any]:
    """Of two large values the first part that differs, with the way there."""
    way = ""
    while type(one) is type(other) and isinstance(one, dict | list | tuple) and one and other:
        keys = list({**one, **other}) if isinstance(one, dict) else range(max(len(one), len(other)))
        first = next(key for key in keys if _part(one, key) != _part(other, key))
        way += f"[{first!r}]"
        one, other = _part(one, first), _part(other, first)
    return f"{way} {one}", f"{way} {other}"


def _part(value: Any, key: Any) -> Any:
    try:
        return value[key]
    except (KeyError, IndexError):
        return "nothing"


def _outcome(kernel: Kernel, id: str, look: bool) -> dict[str, Any]:
    ran = kernel.finish(id, timeout=PATIENCE)
    error = (ran.error["ename"], _settled(kernel, ran.error["evalue"])) if ran.error else None
    names = _without(kernel.folder, kernel.look(LIKENESS)) if look else {}
    return {
        "number": ran.number,
        "error": error,
        "traceback": _trace(kernel, ran),
        "outputs": list(_shown(kernel, ran)),
        "asked": [kernel.asked.pop(0) for _ in list(kernel.asked)],
        "payloads": _content(kernel, [_without(kernel.folder, each) for each in kernel.payloads]),
        "names": names,
    }


def _without(folder: str, value: Any) -> Any:
    """The value without what differs between any two kernels."""
    if isinstance(value, str):
        return (
            _ID.sub("ID", _CELL.sub("CELL", value.replace(folder, "FOLDER").replace("# plain\\n", "")))
            if len(value) < 5000
            else value
        )
    if isinstance(value, list | tuple):
        return [_without(folder, each) for each in value]
    return {key: _without(folder, each) for key, each in value.items()} if isinstance(value, dict) else value


def _trace(kernel: Kernel, ran: Ran) -> list[str]:
    text = _settled(kernel, ran.words)
    return [line.rstrip() for line in text.splitlines() if line.strip() not in {"", "1"}]


def _shown(kernel: Kernel, ran: Ran) -> Iterator[Any]:
    """The outputs in order. Between two others, stdout and stderr count as one text each: how a kernel weaves them is
    a matter of timing."""
    ids: dict[str, int] = {}
    for is_stream, group in groupby(ran.outputs, key=lambda each: each["type"] == "stream"):
        if is_stream:
            texts: dict[str, str] = {}
            for each in group:
                texts[each["name"]] = texts.get(each["name"], "") + each["text"]
            yield {name: _settled(kernel, texts[name]) for name in sorted(texts)}
            continue
        for each in group:
            shown = {key: each[key] for key in ("type", "metadata", "wait") if key in each}
            if id := each.get("transient", {}).get("display_id"):
                shown["display_id"] = ids.setdefault(id, len(ids))
            yield shown | {"data": {kind: _content(kernel, one) for kind, one in each.get("data", {}).items()}}


def _content(kernel: Kernel, value: Any) -> Any:
    if isinstance(value, str) and len(value) > 5000:
        return hashlib.sha256(_settled(kernel, value).encode()).hexdigest()
    # Which of its names comes first means nothing in JSON.
    return _settled(kernel, value if isinstance(value, str) else json.dumps(value, sort_keys=True))


def _settled(kernel: Kernel, text: str) -> str:
    """Without what differs between any two kernels."""
    text = _ANSI.sub("", text) if "\x1b[" in text and "Traceback" in text else text
    text = text.replace(str(kernel.folder), "FOLDER").replace(f"<{kernel.pid}>", "<PID>")
    for pattern, instead in _CHANGING:
        text = pattern.sub(instead, text)
    return text
