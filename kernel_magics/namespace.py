"""The notebook's names as steps see them: what goes with a step, what comes back, what is fetched when."""

from __future__ import annotations
import __future__

import contextlib
import dataclasses
import sys
import types
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cellyard.analysis import analyze, names_used_by, nearest_name, reachable_names, token_names
from cellyard.analysis.facts import Facts
from cellyard.analysis.purity import BUILTINS
from cellyard.artifacts.artifact import load, pack_group, store_packed, writing
from cellyard.artifacts.definitions import files_of, registry
from cellyard.artifacts.held import put_back
from cellyard.artifacts.reference import Reference, is_held
from cellyard.artifacts.sharing import find_sharing
from cellyard.artifacts.store import open_store
from cellyard.errors import CellyardError, InvalidCell, UnknownName, error_from_dict
from kernel_magics.displayed import Displayed, is_shown_name
from kernel_magics.stand_ins import LazyGroup, StandIn, group_of, is_stand_in

__all__ = ["Inputs", "Namespace"]

#: Values up to this size come back at once, if that imports nothing.
AT_ONCE_BYTES = 64 << 10
#: What IPython itself keeps in the namespace, beside the values that it has shown.
_SHELL_NAMES = {"In", "Out", "get_ipython", "exit", "quit", "open", "_i", "_ii", "_iii", "_ih", "_oh", "_dh"}
_OWN = ("get_ipython", "exit", "quit", "open")
_NOTHING = object()
_LAZY = __future__.annotations.compiler_flag
_CONSTANT = (type(None), bool, int, float, complex, str, bytes, types.ModuleType)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What goes with a step: references, the names that it surely leaves as they are, packages that it may import, the
    files that its functions come from, and the sources of all earlier cells, for a step that uses them."""

    references: tuple[dict[str, Any], ...]
    pure: tuple[str, ...]
    packages: tuple[str, ...]
    files: frozenset[str] = frozenset()
    sources: list[str] | None = None


class Namespace:
    """The user namespace of one shell, with the store behind it."""

    def __init__(self, shell: Any, store: str) -> None:
        self._shell = shell
        self._store = open_store(store)
        self._displayed = Displayed(shell)
        self._own = {name: self._names.get(name) for name in _OWN}

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
    def _names(self) -> dict[str, Any]:
        names: dict[str, Any] = self._shell.user_ns
        return names

    def facts(self, step: str, source: str) -> Facts:
        """What the cell does to names. Raises InvalidCell and UnknownName, naming the step and the line of the cell."""
        try:
            facts = self._analyze(source, self._shadowed(), self._shell.compile.flags & _LAZY != 0)
        except InvalidCell as error:
            raise InvalidCell(**{**error.fields, "step": step, "line": error.line + 1}) from None
        for name in sorted(facts.required, key=lambda n: facts.reads_at.get(n, 0)):
            if not facts.star_imports:
                self._check_known(name, step, facts.reads_at.get(name, 0) + 1)
        return facts

    def _analyze(self, source: str, shadowed: frozenset[str], lazy: bool) -> Facts:
        try:  # a cell that is Python as it stands, and most are, needs no slow transformation
            return analyze(source, shadowed=shadowed, lazy_annotations=lazy)
        except InvalidCell:
            transform = self._shell.input_transformer_manager.transform_cell
            return analyze(source, transform=transform, shadowed=shadowed, lazy_annotations=lazy)

    def _shadowed(self) -> frozenset[str]:
        """The builtins whose names the notebook has bound itself."""
        found = BUILTINS & self._names.keys()
        return frozenset(n for n in found if not n.startswith("__") and self._names[n] != self._own.get(n, _NOTHING))

    def _check_known(self, name: str, step: str, line: int) -> None:
        if name not in self._names:
            nearest = nearest_name(name, self._user_names())
            hint = f"Did you mean {nearest!r}?" if nearest else "Run the cell that makes it first."
            raise UnknownName(step=step, name=name, line=line, hint=hint)

    def _user_names(self) -> list[str]:
        return [n for n in self._names if n not in _SHELL_NAMES and not n.startswith("_")]

    def pack(self, step: str, source: str, facts: Facts, only: Sequence[str] | None) -> Inputs:
        """Store what the cell reads, directly or through what it calls, with all that shares objects with it.

        ``only`` are the names of ``--in``. Raises CannotTravel and UnknownName before anything is queued.
        """
        for name in only or ():
            self._check_known(name, step, 1)
        used = self._used(source, facts)
        wanted = self._wanted(source, used) if only is None else set(only)
        packing = _Packing(self._names, self._store, facts)
        return dataclasses.replace(packing.pack(wanted), sources=self._displayed.sources(used))

    def _used(self, source: str, facts: Facts) -> set[str]:
        """Every name that the cell may use."""
        used = set(facts.reads | facts.mentions)
        used |= facts.builtins_read & {"__annotations__"}
        if facts.uses_dynamic:
            used |= token_names(source)
        for inner in facts.functions.values():
            used |= inner.reads
        return used

    def _wanted(self, source: str, used: set[str]) -> set[str]:
        """Those of the names that are to travel, and what was shown and is meant."""
        wanted = used - _SHELL_NAMES | self._displayed.meant(source, used)
        wanted |= {name for name in used & set(_OWN) if self._names.get(name, self._own[name]) != self._own[name]}
        return {name for name in wanted if name in self._names}

    def bind(
        self, outputs: Iterable[Mapping[str, Any]], deleted: Iterable[str], inputs: Iterable[Mapping[str, Any]]
    ) -> None:
        """Bind what a step made of its inputs: small values at once, others as stand-ins."""
        known = {name for each in inputs for name in each["names"]}
        for output in outputs:
            values = self.values(output)
            for name in filter(is_held, list(values)):
                self._change_definition(name, values.pop(name))
            self._names.update(values)
            self._displayed.rebound(values, known.__contains__)
        for name in deleted:
            self._names.pop(name, None)

    def show(self, number: int, result: Mapping[str, Any], outputs: Iterable[Mapping[str, Any]]) -> None:
        """The value of the last expression of cell ``number`` becomes ``_``; its ``outputs`` are bound already."""
        name = f"_{number}"
        is_bound = any(output["id"] == result["id"] and name in output["names"] for output in outputs)
        self._displayed.show(self._names[name] if is_bound else self.values(result)[name])

    def _change_definition(self, name: str, changes: Any) -> None:
        if not is_stand_in(changes):  # what cannot travel stays as it was here
            put_back(name, changes)

    def values(self, output: Mapping[str, Any]) -> dict[str, Any]:
        """The values of one output, or stand-ins for them."""
        reference = Reference.from_dict(output)
        reason = output.get("unavailable")
        unavailable = error_from_dict(reason) if reason else None
        group = LazyGroup(reference, self._load, self._names, unavailable, replaced=self._displayed.replaced)
        if unavailable is None and (_comes_at_once(reference) or any(map(is_held, reference.names))):
            return group.fetch()
        return {name: StandIn(group, name) for name in reference.names}

    def _load(self, reference: Reference) -> dict[str, Any]:
        return load(self._store, reference.to_dict(), self._names)

    def load(self, reference: Mapping[str, Any]) -> dict[str, Any]:
        """The values of an artifact, whatever their size."""
        return load(self._store, reference, self._names)

    def before_cell(self, info: Any) -> None:
        """Fetch what the coming cell uses: every name that occurs in it, and those that functions there use.

        A stand-in that cannot be fetched stays, and raises when it is used.
        """
        source = info.raw_cell or ""
        if source.startswith("%%step") or not any(is_stand_in(v) for v in list(self._names.values())):
            return
        occurring = token_names(source) & self._names.keys()
        occurring |= self._displayed.meant(source, occurring) & self._names.keys()
        real = {name: value for name, value in self._names.items() if not is_stand_in(value)}
        reached = reachable_names(occurring & real.keys(), real)
        for name in occurring | {n for r in reached for n in names_used_by(real[r], self._names)}:
            value = self._names.get(name)
            if is_stand_in(value):
                try:
                    group_of(value).fetch()
                except CellyardError:
                    continue


def _comes_at_once(reference: Reference) -> bool:
    return reference.size < AT_ONCE_BYTES and all(module in sys.modules for module in reference.modules)


class _Packing:
    """One step's inputs on their way into the store."""

    def __init__(self, names: dict[str, Any], store: Any, facts: Facts) -> None:
        self._all = names
        self._store = store
        self._facts = facts
        self._real = {n: v for n, v in names.items() if not is_stand_in(v)}
        self._references: list[dict[str, Any]] = []
        self._done: set[str] = set()
        self._pure: set[str] = set()
        self._packages: set[str] = set()
        self._files: set[str] = set()

    def pack(self, wanted: set[str]) -> Inputs:
        with writing(self._store, self._all) as (self._batch, self._definitions):
            self._pack_all(wanted)
        self._packages |= {v.__name__ for v in self._real.values() if isinstance(v, types.ModuleType)}
        pure, packages = tuple(sorted(self._pure)), tuple(sorted(self._packages))
        return Inputs(tuple(self._references), pure, packages, frozenset(self._files))

    def _pack_all(self, wanted: set[str]) -> None:
        while missing := self._reach(wanted) - self._done:
            wanted = set()
            for name in sorted(missing):
                if is_stand_in(self._all.get(name)):
                    wanted |= self._pass_on(name)
            real = {name for name in missing if name in self._real}
            wanted |= self._pack_real(real)

    def _reach(self, wanted: set[str]) -> set[str]:
        """The names and what their functions use, as far as the notebook has them."""
        known = wanted & self._all.keys()
        reached = set(reachable_names(known & self._real.keys(), self._real)) | known
        for name in list(reached & self._real.keys()):
            reached |= names_used_by(self._real[name], self._all) & self._all.keys()
        return reached

    def _pass_on(self, name: str) -> set[str]:
        """A value that is still in the store goes as its reference; returns the names that its classes need."""
        value = self._all[name]
        group = group_of(value)
        group.check_available()
        bound = [n for n, v in self._all.items() if is_stand_in(v) and group_of(v) is group and v._self_name == n]
        if name not in bound:  # an alias made by assignment: only the value itself can say what it is
            group.fetch()
            self._real[name] = self._all[name]
            return {name}
        self._done.update(bound)
        reference = group.reference
        self._note(bound, reference.modules, reference.tokens)
        self._references.append({**reference.to_dict(), "bind": bound})
        return self._names_of_definitions(reference.tokens)

    def _pack_real(self, names: set[str]) -> set[str]:
        """Pack the groups that hold these names; returns further names that their definitions need."""
        if not names:
            return set()
        needed: set[str] = set()
        for group, bases in self._groups(names):
            values = {name: self._real[name] for name in group}
            packed = pack_group(values, self._all, bases=bases, where=" to the step")
            reference = store_packed(packed, values, self._batch, self._definitions)
            self._references.append(reference.to_dict())
            self._files |= packed.files
            self._done.update(group)
            self._note(group, packed.modules, tuple(packed.definitions))
            needed |= self._names_of_definitions(reference.tokens)
        return needed

    def _groups(self, names: set[str]) -> list[tuple[tuple[str, ...], frozenset[int] | None]]:
        values = {name: self._real[name] for name in sorted(names)}
        simple = [name for name, value in values.items() if type(value) in _CONSTANT]
        rest = {name: value for name, value in values.items() if name not in simple}
        groups: list[tuple[tuple[str, ...], frozenset[int] | None]] = [((name,), frozenset()) for name in simple]
        if rest:
            # held by the namespace, by the real names, by values and by rest
            sharing = find_sharing(rest, holders=4)
            if sharing.is_shared_outside:
                others = {n: v for n, v in self._real.items() if self._may_share(n, v) and n not in rest}
                sharing = find_sharing({**rest, **others})
            groups += [(group, sharing.bases) for group in sharing.groups if not rest.keys().isdisjoint(group)]
        return groups

    def _may_share(self, name: str, value: Any) -> bool:
        if type(value) in _CONSTANT or name in _SHELL_NAMES:
            return False
        return not name.startswith("__") or is_shown_name(name)

    def _note(self, names: Iterable[str], modules: Iterable[str], definitions: Iterable[str]) -> None:
        self._packages.update(modules)
        if not list(definitions) and set(modules) <= {"numpy"}:
            self._pure.update(n for n in names if n in self._facts.pure_reads)

    def _names_of_definitions(self, tokens: Iterable[str]) -> set[str]:
        live = [found for token in tokens if (found := registry.find(token)) is not None]
        self._files.update(file for each in live for file in files_of(each))
        return {name for each in live for name in names_used_by(each, self._all)}
