"""Names in their scopes: what a load, a binding, a change in place and a function's first use mean. Pure.

The ground on which the readers of expressions, calls, statements and definitions stand.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from cellyard.analysis.aliases import NOTHING, SAME, Aliases, Value, deep, direct, held
from cellyard.analysis.ledger import Ledger
from cellyard.analysis.purity import BUILTINS, DYNAMIC

__all__ = ["NO_NAMES", "NameReader"]

NO_NAMES: frozenset[str] = frozenset()


class NameReader:
    """Knows which names the code being read means, and keeps account of them.

    ``bound`` are the keys which, at this point of the code, surely no longer have their value from before the
    cell. ``pending`` are functions bound but not used yet: what they read counts from their first use on,
    since only then may they run."""

    def __init__(self, source: str, shadowed: frozenset[str], impure: frozenset[str]) -> None:
        self.shadowed = shadowed
        self.impure = impure | shadowed
        self.has_walrus = ":=" in source
        self.aliases = Aliases()
        self.pending: dict[str, list[Ledger]] = {}
        self.live: set[str] = set()
        self.modules: set[str] = set()
        self.values: set[str] = set()
        self.imported_modules: set[str] = set()
        self.star_imports: list[str] = []
        self.mentions: set[str] = set()
        self.lazy_annotations = False
        self.dynamic = False
        self.awaits = False
        self.suspicious = False
        self.left = False
        self.scopes = 0
        # What follows belongs to the block being read.
        self.ledger = Ledger()
        self.bound: set[str] = set()
        self.table: dict[str, str] = {}
        self.class_names: frozenset[str] = NO_NAMES
        self.class_unbound: frozenset[str] = NO_NAMES
        self.class_mark = ""
        self.private = ""
        self.in_function = False
        self.in_async = True
        self.certain = True
        self.dead = False
        self.loops: list[list[set[str]]] = []
        self.owners: list[list[Ledger]] = []

    # -- names

    def load(self, name: str, line: int) -> Value:
        """A name is read."""
        if self.private and name.startswith("__"):
            name = self.mangled(name)
        if name in self.class_names:
            key = name + self.class_mark
            if key in self.pending:
                self.use(key)
            here: Value = ((key, SAME),)
            # A name that the class body binds is looked up in it and then globally, past any function around.
            if key in self.bound:
                return here
            certain, self.certain = self.certain, False
            around = self._load_global(name, line)
            self.certain = certain
            return here + around
        return self._load_around(name, line)

    def _load_around(self, name: str, line: int) -> Value:
        key = self.table.get(name)
        if key is not None:
            return ((key, SAME),)
        return self._load_global(name, line)

    def _load_global(self, name: str, line: int) -> Value:
        builtin = name in BUILTINS and name not in self.shadowed
        if name not in self.bound:
            if builtin:
                self.ledger.builtins.add(name)
                if name in DYNAMIC:
                    self.forget_certainty()
            else:
                self.ledger.reads.setdefault(name, line)
                if self.certain and not self.left:
                    self.ledger.needed.add(name)
        if not self.in_function:
            self.live.add(name)
            if name in self.pending:
                self.use(name)
        if builtin and name not in self.impure:
            return NOTHING
        return ((name, SAME),)

    def store(self, name: str, value: Value) -> str:
        """A name is bound to ``value``; returns its key."""
        key = self.bind(name)
        self.values.add(key)
        if value:
            self.aliases.bind(key, value)
        return key

    def bind(self, name: str) -> str:
        """A name is bound, to a module or to anything else; returns its key."""
        if self.private and name.startswith("__"):
            name = self.mangled(name)
        if name in self.class_names:
            key = name + self.class_mark
        else:
            found = self.table.get(name)
            if found is None:
                self.ledger.writes.add(name)
            key = found or name
        if name not in self.class_unbound or key == name:
            self.bound.add(key)
        return key

    def forget_certainty(self) -> None:
        """From here on, names may be read and bound in ways that the text does not show."""
        self.dynamic = self.left = True

    def mangled(self, name: str) -> str:
        """The name that Python makes of a private name in a class body."""
        return name if name.endswith("__") else f"_{self.private}{name}"

    def fresh_mark(self) -> str:
        """A suffix that makes the local names of one more scope unique."""
        self.scopes += 1
        return f"\0{self.scopes}"

    # -- functions that are bound now and run later

    def define(self, key: str, ledgers: list[Ledger]) -> None:
        """``key`` is bound to something that does what ``ledgers`` say, when it is used."""
        for ledger in ledgers:
            # What comes out of calls of it is MADE from its key, and so is followed from there.
            self.aliases.give(key, held(tuple(ledger.result)))
        if self.in_function:
            for ledger in ledgers:
                self.ledger.absorb(ledger, self.bound)
            return
        self.pending.setdefault(key, []).extend(ledgers)
        for owner in self.owners:
            owner.extend(ledgers)
        if key in self.live:
            self.use(key)

    def run(self, ledger: Ledger) -> None:
        """Something that does what ``ledger`` says may run from here on."""
        self.ledger.absorb(ledger, self.bound)
        if not self.in_function:
            for name in (*ledger.reads, *ledger.builtins):
                self.live.add(name)
                if name in self.pending:
                    self.use(name)

    def use(self, key: str) -> None:
        """What ``key`` is bound to may run from here on, and so may whatever that uses."""
        if self.in_function:
            return
        seen: set[str] = set()
        todo = [key]
        while todo:
            name = todo.pop()
            if name in seen:
                continue
            seen.add(name)
            self.live.add(name)
            for ledger in self.pending.get(name, ()):
                self.ledger.absorb(ledger, self.bound)
                todo.extend(ledger.reads)
                todo.extend(ledger.builtins)
                todo.extend(ledger.writes)

    @contextmanager
    def inside(self, table: dict[str, str], *, is_async: bool = False) -> Iterator[Ledger]:
        """Read the body of a function whose visible names are ``table``, into an account of its own."""
        saved = (
            self.ledger, self.bound, self.table, self.class_names, self.in_function, self.in_async,
            self.certain, self.dead, self.loops, self.owners,
        )  # fmt: skip
        self.ledger, self.bound, self.table, self.class_names = Ledger(), set(), table, NO_NAMES
        self.in_function, self.in_async, self.certain, self.dead = True, is_async, False, False
        self.loops, self.owners = [], []
        try:
            yield self.ledger
        finally:
            (
                self.ledger, self.bound, self.table, self.class_names, self.in_function, self.in_async,
                self.certain, self.dead, self.loops, self.owners,
            ) = saved  # fmt: skip

    # -- changes

    def alter(self, value: Value) -> None:
        """``value`` itself is changed in place."""
        if value:
            self.ledger.changes |= direct(value)

    def expose(self, value: Value) -> None:
        """``value`` goes where anything may be done to it."""
        if value:
            self.ledger.changes |= deep(value)

    def escape(self, value: Value) -> None:
        """``value`` comes out of the function being read."""
        self.ledger.result.update(value)

    def put(self, target: Value, value: Value) -> None:
        """``value`` is put inside ``target``."""
        if self.in_function:
            self.expose(value)
        else:
            self.aliases.store(target, value)
