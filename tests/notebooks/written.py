"""Small notebooks written as text: ``corpus/*.ipy``, one file for each part of what a cell may do.

A line ``# == noun, noun`` begins a notebook and names what it is about, ``# %%`` a cell. A cell of
``# %% plain`` is never marked; others, where they are not marked, begin with a comment in the place of the mark, so
that lines have the same numbers: all but those of ``# %% bare``. A cell of ``# %% noted`` makes widgets.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

__all__ = ["MARKINGS", "Cell", "Notebook", "read"]

FOLDER = Path(__file__).with_name("corpus")


@dataclass(frozen=True)
class Cell:
    """A cell's source, whether it may be marked, and whether it is run as it stands where it is not."""

    source: str
    may_be_step: bool
    is_bare: bool = False
    is_noted: bool = False
    """Where it is marked, a note says that its widgets are only shown."""


@dataclass(frozen=True)
class Notebook:
    """Some cells that are run one after another, and what they are about. ``place`` is its line in the file."""

    place: str
    nouns: tuple[str, ...]
    cells: tuple[Cell, ...]


def read(name: str) -> list[Notebook]:
    """The notebooks of one file, in order."""
    return list(_notebooks(FOLDER / f"{name}.ipy"))


def _notebooks(path: Path) -> Iterator[Notebook]:
    nouns: tuple[str, ...] = ()
    at = 0
    lines: list[str] = []
    for number, line in enumerate([*path.read_text(encoding="utf-8").splitlines(), "# =="], 1):
        if not line.startswith("# =="):
            lines.append(line)
            continue
        if nouns:
            yield Notebook(f"{path.name}:{at}", nouns, tuple(_cells(lines)))
        at, lines = number, []
        nouns = tuple(noun.strip() for noun in line[4:].split(",") if noun.strip())


def _cells(lines: list[str]) -> Iterator[Cell]:
    held: list[str] | None = None
    kind = ""
    for line in [*lines, "# %%"]:
        if not line.startswith("# %%"):
            if held is not None:
                held.append(line)
            continue
        if held:
            yield Cell("\n".join(held).strip("\n"), kind != "plain", kind == "bare", kind == "noted")
        held, kind = [], line[4:].strip()


def _drawn(notebook: Notebook, at: int) -> bool:
    return random.Random(f"{notebook.place}/{at}").random() < 0.5


MARKINGS: dict[str, Callable[[Notebook, int], bool]] = {
    "every": lambda notebook, at: True,
    "even": lambda notebook, at: at % 2 == 0,
    "odd": lambda notebook, at: at % 2 == 1,
    "drawn": _drawn,
}
"""Which of a notebook's cells are marked."""
