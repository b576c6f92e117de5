"""Executed: the copy of a notebook that its run fills with what cells have shown, and writes."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from cellyard.errors import StoreError

__all__ = ["CellOutputs", "Executed"]

Json = dict[str, Any]


class Executed:
    """One copy. ``cells`` are its cells, as nbformat has them; ``numbers`` the execution counts that a run from top to
    bottom would give."""

    def __init__(self, content: Mapping[str, Any], code: Iterable[int]) -> None:
        self.content: Json = copy.deepcopy(dict(content))
        self.cells: list[Json] = self.content["cells"]
        self.numbers = {index: number for number, index in enumerate(code, 1)}
        for cell in self.cells:
            if cell["cell_type"] == "code":
                cell["outputs"], cell["execution_count"] = [], None
            if not isinstance(cell["source"], str):
                cell["source"] = "".join(cell["source"])

    def outputs(self, index: int) -> CellOutputs:
        """What is shown under a cell: empty from now on."""
        cell = self.cells[index]
        cell["outputs"], cell["execution_count"] = [], self.numbers.get(index)
        return CellOutputs(cell["outputs"], self.numbers.get(index))

    def show(self, index: int, shown: Iterable[Mapping[str, Any]]) -> None:
        """Put outputs of nbformat under a cell."""
        cell = self.cells[index]
        cell["outputs"] = [dict(each) for each in shown]
        self.number(index)

    def number(self, index: int) -> None:
        """Give a cell, and its result, the number of its place."""
        cell = self.cells[index]
        cell["execution_count"] = self.numbers.get(index)
        for each in cell["outputs"]:
            if each["output_type"] == "execute_result":
                each["execution_count"] = self.numbers.get(index)

    def write(self, output: str) -> None:
        """Write it whole, or not at all: to a file, or to a URL that fsspec knows."""
        text = json.dumps(self.content, indent=1, ensure_ascii=False) + "\n"
        if "://" in output:
            _upload(text, output)
            return
        path = Path(output)
        path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = path.with_name(f".{path.name}.{os.getpid()}")
        try:
            unfinished.write_text(text, encoding="utf-8")
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)


class CellOutputs:
    """The outputs of one cell, made from a step's messages as a front end would."""

    def __init__(self, outputs: list[Json], number: int | None) -> None:
        self.outputs = outputs
        self._number = number
        self._clears = False
        self._displays: dict[str, list[Json]] = {}

    def show(self, message: Mapping[str, Any]) -> None:
        """One output message of a step."""
        kind = message["type"]
        if kind == "clear_output":
            self._clears = bool(message["wait"])
            if not message["wait"]:
                self.outputs.clear()
        elif kind == "update_display_data":
            self._update(message)
        elif kind in {"stream", "display_data", "execute_result", "error"}:
            if self._clears:
                self.outputs.clear()
                self._clears = False
            self._add(kind, message)

    def fail(self, error: Mapping[str, Any]) -> None:
        """The error that the cell has ended with."""
        trace = list(error.get("traceback") or [f"{error['type']}: {error['message']}"])
        found = {"output_type": "error", "ename": error["type"], "evalue": error["message"], "traceback": trace}
        self.outputs.append(found)

    def _add(self, kind: str, message: Mapping[str, Any]) -> None:
        if kind == "stream":
            last = self.outputs[-1] if self.outputs else {}
            if last.get("output_type") == "stream" and last["name"] == message["name"]:
                last["text"] += message["text"]
            else:
                self.outputs.append({"output_type": "stream", "name": message["name"], "text": message["text"]})
        elif kind == "error":
            keys = ("ename", "evalue", "traceback")
            self.outputs.append({"output_type": "error", **{key: message[key] for key in keys}})
        else:
            made = {"output_type": kind, "data": message["data"], "metadata": message["metadata"]}
            made |= {"execution_count": self._number} if kind == "execute_result" else {}
            self.outputs.append(made)
            if id := (message.get("transient") or {}).get("display_id"):
                self._displays.setdefault(id, []).append(made)

    def _update(self, message: Mapping[str, Any]) -> None:
        for each in self._displays.get((message.get("transient") or {}).get("display_id", ""), ()):
            each["data"], each["metadata"] = message["data"], message["metadata"]


def _upload(text: str, url: str) -> None:
    import fsspec

    try:
        system, path = fsspec.url_to_fs(url)  # type: ignore[no-untyped-call]
        system.pipe_file(path, text.encode())
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(f"the executed notebook could not be written to {url}: {error}") from error
