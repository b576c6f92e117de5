"""The notebook's names as steps see them: what goes with a step, what comes back, what is fetched when."""

from __future__ import annotations
import __future__

import builtins
import contextlib
import dataclasses
import re
import sys
import types
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Any

from cellyard.analysis import (
    analyze,
    names_used_by,
    nearest_name,
    only_deleted,
    reachable_names,
    token_names,
    wants_all_names,
    wants_definitions,
)
from cellyard.analysis.facts import Facts
from cellyard.analysis.purity import BUILTINS
from cellyard.artifacts.artifact import load
from cellyard.artifacts.definitions import is_definition
from cellyard.artifacts.handlers import as_held
from cellyard.artifacts.held import put_back
from cellyard.artifacts.own_magics import called_by, own_magics
from cellyard.artifacts.patches import own_patches
from cellyard.artifacts.reference import Reference, is_earlier, is_held
from cellyard.artifacts.store import open_store
from cellyard.errors import CannotTravel, CellyardError, InvalidCell, UnknownName, error_from_dict
from cellyard.worker.cells_read import CellsRead
from cellyard.worker.local_modules import readings
from cellyard.worker.logging_state import handlers_beside
from cellyard.worker.module_places import ModulePlaces
from kernel_magics.displayed import Displayed, is_shown_name
from kernel_magics.packing import SHELL_NAMES, Inputs, Packing
from kernel_magics.replaced import silence
from kernel_magics.stand_ins import LazyGroup, StandIn, group_of, is_stand_in

__all__ = ["Namespace"]

#: Values up to this size come back at once, if that imports nothing.
AT_ONCE_BYTES = 64 << 10
_LISTING = frozenset({"lsmagic", "magic", "quickref", "get_ipython"})
_OWN = ("get_ipython", "exit", "quit", "open")
_NOTHING = object()
_VAR = re.compile(r"""\bvar\(\s*(["'][^"']*["'])""")
_RUN = re.compile(r"^\s*%run\s+(?=[^\n]*-\w*i\b)(?:-\S+\s+)*(\S+)", re.MULTILINE)
_ON_LINE = re.compile(r"(\bon line )(\d+)")
_LONG = 10_000
"""Characters from which on a text is data, and not a part of a program."""
_LAZY = __future__.annotations.compiler_flag


class Namespace:
    """The user namespace of one shell, with the store behind it."""

    def __init__(self, shell: Any, store: str) -> None:
        self._shell = shell
        self._store = open_store(store)
        self._displayed = Displayed(shell)
        self._own = {name: self._names.get(name) for name in _OWN}
        self._cells, self._number_read = CellsRead(shell), 0
        self.places = ModulePlaces()

    def connect(self) -> None:
        """Have the store ready to be used. What keeps it from that is told when it is used."""
        with contextlib.suppress(CellyardError):
            self._store.open()

    def recent(self, references: Iterable[Mapping[str, Any]]) -> dict[str, bytes]:
        """Small objects among them that a reader need not fetch when they are handed on."""
        return self._store.recent(each["id"] for each in references)

    def accept(self, objects: Mapping[str, bytes]) -> None:
        """Small objects that the store need not be asked for."""
        self._store.accept(objects)

    @property
    def names(self) -> dict[str, Any]:
        """The notebook's names, live."""
        return self._names

    @property
    def _names(self) -> dict[str, Any]:
        names: dict[str, Any] = self._shell.user_ns
        return names

    def facts(self, step: str, source: str, *, above: int = 1) -> Facts:
        """What the cell does to names. Raises InvalidCell and UnknownName, naming the step and the line of the
        cell, of which ``above`` lines come before the source."""
        try:
            facts = self.analyze(source)
        except InvalidCell as error:
            # Python names a second line in words: "expected an indented block after 'if' statement on line 1".
            reason = _ON_LINE.sub(lambda found: f"{found[1]}{int(found[2]) + above}", error.reason)
            told = {**error.fields, "step": step, "line": error.line + above, "reason": reason}
            raise InvalidCell(**told) from None
        missing = facts.required - self._names.keys()
        if missing and (written := self._without_percent(source)) != source:
            return self.facts(step, written, above=above)
        for name in sorted(missing - _made_by_text(source), key=lambda n: facts.reads_at.get(n, 0)):
            if not facts.star_imports:
                self._check_known(name, step, facts.reads_at.get(name, 0) + above)
        return facts

    def _analyze(self, source: str, shadowed: frozenset[str], lazy: bool) -> Facts:
        try:  # a cell that is Python as it stands, and most are, needs no slow transformation
            return analyze(source, shadowed=shadowed, lazy_annotations=lazy)
        except InvalidCell:
            return analyze(source, transform=self._transform, shadowed=shadowed, lazy_annotations=lazy)

    def _transform(self, source: str) -> str:
        text: str = self._shell.input_transformer_manager.transform_cell(source)
        return self._without_percent(text)

    def _without_percent(self, source: str) -> str:
        """A cell of one line may be a magic without its sign, or another thing that only IPython understands."""
        if len(source.splitlines()) != 1:
            return source
        with self._shell.builtin_trap:
            text: str = self._shell.prefilter_manager.prefilter_lines(source)
        return text

    def _shadowed(self) -> frozenset[str]:
        """The builtins whose names the notebook has bound itself."""
        found = BUILTINS & self._names.keys()
        return frozenset(n for n in found if not n.startswith("__") and not self._is_own(n))

    def _is_own(self, name: str) -> bool:
        """Whether the name has what IPython bound it to. A stand-in is not compared: that would fetch its value."""
        own, value = self._own.get(name, _NOTHING), self._names.get(name)
        return value is own or (not is_stand_in(value) and type(value) is type(own) and bool(value == own))

    def _check_known(self, name: str, step: str, line: int) -> None:
        if name not in self._names and name not in vars(builtins):  # where doctest and gettext have put one
            nearest = nearest_name(name, self._user_names())
            hint = f"Did you mean {nearest!r}?" if nearest else "Run the cell that makes it first."
            raise UnknownName(step=step, name=name, line=line, hint=hint)

    def _user_names(self) -> list[str]:
        return [n for n in self._names if n not in SHELL_NAMES and not n.startswith("_")]

    def pack(self, step: str, source: str, facts: Facts, only: Sequence[str] | None) -> Inputs:
        """Store what the cell reads, directly or through what it calls, with all that shares objects with it.

        ``only`` are the names of ``--in``. Raises CannotTravel and UnknownName before anything is queued.
        """
        for name in only or ():
            self._check_known(name, step, 1)
        used = self._used(source, facts)
        wanted = self._wanted(source, used) if only is None else set(only)
        gone = only_deleted(source) & wanted if facts.deletes and only is None else set()
        wanted -= gone
        optional = self._optional(source, wanted) | gone
        beside = dict(map(as_held, handlers_beside())) | self._patches()
        packing = Packing(self._names, self._store, facts, optional - wanted, beside)
        wanted |= optional
        inputs = packing.pack(wanted, self._magics(source, wanted))
        unsent = self._deleted(facts).difference(*(each["names"] for each in inputs.references))
        sent = {name for each in inputs.references for name in each["names"]}
        behind = tuple(sorted(beside.keys() - sent))
        sources = self._displayed.sources(source, used)
        return dataclasses.replace(inputs, sources=sources, unsent=tuple(sorted(unsent)), behind=behind)

    def _patches(self) -> dict[str, Any]:
        """What the notebook has set in modules and classes of others, with all its cells until now."""
        manager = self._shell.history_manager
        cells = manager.input_hist_raw if manager is not None else []
        for cell in cells[self._number_read :]:
            self._cells.read(cell)
        self._number_read = len(cells)
        self._cells.know_patches()
        return own_patches()

    def local_modules(self) -> dict[Any, Any] | None:
        """What has been read of local modules; None where what their functions change does not travel."""
        return readings() if self._cells.with_local_modules else None

    def leave_local_modules(self) -> None:
        """From now on that does not travel."""
        self._cells.with_local_modules = False

    def _optional(self, source: str, wanted: AbstractSet[str]) -> frozenset[str]:
        """Names that go along if they can, because something may look for them that is not seen in the cell."""
        if wants_all_names(source):
            return frozenset(self._user_names())
        if wants_definitions(source) or any(_opens_pickles(self._names.get(name)) for name in self.reached(wanted)):
            return frozenset(name for name in self._user_names() if _is_definition(self._names[name]))
        return frozenset()

    def _magics(self, source: str, wanted: set[str]) -> dict[str, Any]:
        """The notebook's own magics, if the cell may call or list one, itself or through a function."""
        own = own_magics()
        if not own:
            return own
        meant = _LISTING.union(*(called_by(*each) for each in own.items()))
        return own if meant & token_names(source) or "get_ipython" in self.reached(wanted) else {}

    def _deleted(self, facts: Facts) -> set[str]:
        """Names of the notebook that the cell may delete."""
        found = facts.deletes.union(*(inner.deletes for inner in facts.functions.values()))
        return set(found & self._names.keys())

    def _used(self, source: str, facts: Facts) -> set[str]:
        """Every name that the cell may use."""
        used = set(facts.reads | facts.mentions)
        used |= facts.builtins_read & {"__annotations__"}
        if facts.uses_dynamic:
            used |= token_names(source)
            texts = [self._names.get(name) for name in used]
            texts += _scripts(source)
            used |= {word for text in texts if type(text) is str and len(text) < _LONG for word in token_names(text)}
        for inner in facts.functions.values():
            used |= inner.reads
        return used

    def _wanted(self, source: str, used: set[str]) -> set[str]:
        """Those of the names that are to travel, and what was shown and is meant."""
        wanted = used - SHELL_NAMES | self._displayed.meant(source, used)
        wanted |= {name for name in used & set(_OWN) & self._names.keys() if not self._is_own(name)}
        return {name for name in wanted if name in self._names}

    def bind(
        self,
        outputs: Iterable[Mapping[str, Any]],
        deleted: Iterable[str],
        inputs: Iterable[Mapping[str, Any]],
        *,
        keep: Collection[str] = (),
    ) -> dict[str, Any]:
        """Bind what a step made of its inputs: small values at once, others as stand-ins; names to ``keep`` stay.
        Returns what is of no name: values that the step has shown before its last."""
        known = {name for each in inputs for name in each["names"]}
        earlier: dict[str, Any] = {}
        changed: list[Any] = []
        for output in outputs:
            values = self.values(output)
            for name in filter(is_held, list(values)):
                changed.append(values.pop(name))
                self._change_definition(name, changed[-1])
            for waiting in filter(is_stand_in, values.values()):
                group_of(waiting).keeps = changed
            for name in keep:
                values.pop(name, None)
            earlier.update({name: values.pop(name) for name in list(values) if is_earlier(name)})
            before = {name: self._names[name] for name in values if is_stand_in(self._names.get(name))}
            followers = {name: self._displayed.following(name, value) for name, value in before.items()}
            silence(old for name in known & values.keys() if not is_stand_in(old := self._names.get(name)))
            shown = known & self._displayed.own()
            self._names.update(values)
            self._displayed.rebound(values, shown.__contains__)
            for name, unders in followers.items():
                self._displayed.follow(unders, values[name])
        for name in deleted:
            self._names.pop(name, None)
        return earlier

    def show(
        self,
        number: int,
        result: Mapping[str, Any],
        outputs: Iterable[Mapping[str, Any]],
        earlier: Mapping[str, Any],
    ) -> None:
        """The value of the last expression of cell ``number`` becomes ``_``; its ``outputs`` are bound already, and
        ``earlier`` is what that has returned."""
        name = f"_{number}"
        is_bound = any(output["id"] == result["id"] and name in output["names"] for output in outputs)
        values = {name: self._names[name]} if is_bound else self.values(result)
        for one in sorted({*earlier, *filter(is_earlier, values)}, reverse=True):
            self._displayed.show(earlier[one] if one in earlier else values[one])
        self._displayed.show(values[name])

    def show_value(self, result: Mapping[str, Any]) -> None:
        """The value that a step of any number has shown last becomes ``_``."""
        values = {name: value for name, value in self.values(result).items() if is_shown_name(name)}
        for name in sorted(values, key=lambda each: (len(each), each)):
            self._displayed.show(values[name])

    def keep_shown(self, number: int, result: Mapping[str, Any], outputs: Iterable[Mapping[str, Any]]) -> None:
        """The same for a cell that is not the latest: ``_5`` and ``Out[5]``, and not ``_``."""
        name = f"_{number}"
        values = {name: self.values(result)[name]} if name not in self._names else {name: self._names[name]}
        self._names.update(values)
        self._displayed.replaced(values)

    def analyze(self, source: str) -> Facts:
        """What a cell does to names. Raises InvalidCell."""
        return self._analyze(source, self._shadowed(), self._shell.compile.flags & _LAZY != 0)

    def reached(self, names: AbstractSet[str]) -> set[str]:
        """The names, and those that the notebook's own functions among them use."""
        real = {name: value for name, value in self._names.items() if not is_stand_in(value)}
        reached = reachable_names(names & real.keys(), real)
        return set(names) | {n for r in reached for n in names_used_by(real[r], self._names)}

    def _change_definition(self, name: str, changes: Any) -> None:
        if not is_stand_in(changes):  # what cannot travel stays as it was here
            put_back(name, changes)

    def values(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """The values of one output, or stand-ins for them."""
        group = self.waiting(output)
        reference = group.reference
        if group.unavailable is None and (_comes_at_once(reference) or any(map(is_held, reference.names))):
            try:
                return group.fetch()
            except CannotTravel as error:  # told when it is used; the other names of the cell are as good as ever
                group.unavailable = error
        return {name: StandIn(group, name) for name in reference.names}

    def waiting(self, output: Mapping[str, Any]) -> LazyGroup:
        """The group of an output, of which nothing is fetched before it is used."""
        reason = output.get("unavailable")
        unavailable = error_from_dict(reason) if reason else None
        reference = Reference.from_dict(output)
        maker = {"made_by": output.get("made_by", "")}

        def load_now(reference: Reference) -> dict[str, Any]:
            return self.load(reference.to_dict() | maker)

        return LazyGroup(reference, load_now, self.names, unavailable, replaced=self._displayed.replaced)

    def load(self, reference: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an artifact, whatever their size."""
        # As if a cell ran: a library that is imported now asks whether it is in a notebook.
        with self._shell.builtin_trap:
            return self.places.tried(lambda: load(self._store, reference, self._names))

    def before_cell(self, info: Any) -> None:
        """Fetch what the coming cell uses: every name that occurs in it, and those that functions there use.

        A stand-in that cannot be fetched stays, and raises when it is used.
        """
        source = info.raw_cell or ""
        if source.startswith("%%step") or not any(is_stand_in(v) for v in list(self._names.values())):
            return
        occurring = token_names(source) & self._names.keys()
        occurring |= self._displayed.meant(source, occurring) & self._names.keys()
        for name in self.reached(occurring):
            value = self._names.get(name)
            if is_stand_in(value) and not group_of(value).is_pending:
                try:
                    group_of(value).fetch()
                except CellyardError:
                    continue


def _made_by_text(source: str) -> frozenset[str]:
    """Names that ``sympy.var("x y")`` binds in the notebook."""
    return token_names(" ".join(_VAR.findall(source))) if "var(" in source else frozenset()


def _scripts(source: str) -> Iterator[str]:
    """The texts of files that the cell runs among the notebook's names."""
    for name in _RUN.findall(source):
        with contextlib.suppress(OSError, UnicodeDecodeError):  # %run says what is wrong with it
            yield Path(name).read_text(encoding="utf-8")


def _is_definition(value: Any) -> bool:
    return not is_stand_in(value) and is_definition(value)


def _opens_pickles(value: Any) -> bool:
    """Whether a function of the notebook may come upon classes that no word of it names."""
    code = value.__code__ if type(value) is types.FunctionType else None
    return code is not None and wants_definitions(f"{'.'.join(code.co_names)}(")


def _comes_at_once(reference: Reference) -> bool:
    return reference.size < AT_ONCE_BYTES and all(module in sys.modules for module in reference.modules)
