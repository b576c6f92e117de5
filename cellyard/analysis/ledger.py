"""What one block of code does to the names outside of it; filled while the block is read. Pure."""

from __future__ import annotations

from cellyard.analysis.aliases import Change

__all__ = ["Ledger"]


class Ledger:
    """The account of a cell, or of one function in it.

    ``changes`` are changes in place; ``changes_of_others`` those that no builtin or numpy value would undergo
    (a call of ``.mean()``). ``needed`` are the reads that happen whenever the block runs. ``result`` is what
    a function's results may share."""

    __slots__ = (
        "builtins",
        "called",
        "changes",
        "changes_of_others",
        "deletes",
        "imports",
        "needed",
        "reads",
        "result",
        "writes",
    )

    def __init__(self) -> None:
        self.reads: dict[str, int] = {}
        self.needed: set[str] = set()
        self.builtins: set[str] = set()
        self.writes: set[str] = set()
        self.deletes: set[str] = set()
        self.imports: set[str] = set()
        self.changes: set[Change] = set()
        self.changes_of_others: set[Change] = set()
        self.called: set[str] = set()
        self.result: set[tuple[str, int]] = set()

    def absorb(self, other: Ledger, bound: set[str]) -> None:
        """Take over what ``other`` does, run at a point where ``bound`` are no longer the names of before."""
        for name, line in other.reads.items():
            if name not in bound:
                self.reads[name] = min(line, self.reads.get(name, line))
        self.builtins |= other.builtins
        self.writes |= other.writes
        self.deletes |= other.deletes
        self.imports |= other.imports
        self.changes |= other.changes
        self.changes_of_others |= other.changes_of_others
        self.called |= other.called
