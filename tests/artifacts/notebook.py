"""A notebook without a kernel: cells run in a namespace named ``__main__``, here or in a new process."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

from cellyard.artifacts import load, open_store, pack
from cellyard.errors import CannotTravel

__all__ = ["Notebook", "in_new_process"]

_OTHER = """
import json, sys
from tests.artifacts.notebook import Notebook
store, references, source = json.loads(sys.stdin.read())
other = Notebook(store)
other.receive(references)
other.run(source)
"""


class Notebook:
    """A namespace with the store behind it."""

    def __init__(self, store: str | Path) -> None:
        self.store = open_store(str(store))
        self.names: dict[str, Any] = {"__name__": "__main__"}

    def run(self, source: str) -> None:
        """Run a cell."""
        exec(compile(textwrap.dedent(source), "<cell>", "exec"), self.names)

    def send(self, *names: str) -> list[dict[str, Any]]:
        """Pack these names; the references that another notebook can receive."""
        wanted = {name: self.names[name] for name in names}
        return [each.to_dict() for each in pack(wanted, self.names, self.store)]

    def receive(self, references: list[dict[str, Any]]) -> None:
        """Bind what was sent."""
        for reference in references:
            self.names.update(load(self.store, reference, self.names))

    def refusal(self, *names: str) -> CannotTravel:
        """The error that sending raises."""
        try:
            self.send(*names)
        except CannotTravel as error:
            return error
        raise AssertionError(f"{names} could be sent")


def in_new_process(store: str | Path, references: list[dict[str, Any]], source: str) -> None:
    """Receive in a new process and run a cell of assertions there; AssertionError shows what it said."""
    request = json.dumps([str(store), references, source])
    done = subprocess.run(
        [sys.executable, "-c", _OTHER], input=request, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
