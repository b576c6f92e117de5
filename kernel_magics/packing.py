"""The inputs of a step: which names go along with those that it reads, stored or passed on as references."""

from __future__ import annotations

import types
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.analysis import names_used_by, reachable_names
from cellyard.analysis.facts import Facts
from cellyard.artifacts.artifact import Packed, pack_group, store_packed, writing
from cellyard.artifacts.definitions import files_of, registry
from cellyard.artifacts.held import entry_of
from cellyard.artifacts.own_magics import MAGICS, as_held
from cellyard.artifacts.sharing import Sharing, find_sharing
from cellyard.artifacts.store import Store
from cellyard.errors import CannotTravel
from kernel_magics.displayed import is_shown_name
from kernel_magics.stand_ins import LazyGroup, group_of, is_stand_in

__all__ = ["SHELL_NAMES", "Inputs", "Packing"]

#: What IPython itself keeps in the namespace, beside the values that it has shown.
SHELL_NAMES = {"In", "Out", "get_ipython", "exit", "quit", "open", "_i", "_ii", "_iii", "_ih", "_oh", "_dh"}
_CONSTANT = (type(None), bool, int, float, complex, str, bytes, types.ModuleType)


@dataclass(frozen=True, slots=True)
class Inputs:
    """What goes with a step: references, the names that it surely leaves as they are, packages that it may import, the
    files that its functions come from, the sources of all earlier cells, for a step that uses them, names that it
    may delete without having been sent their values, and what is set in modules and cannot travel."""

    references: tuple[dict[str, Any], ...]
    pure: tuple[str, ...]
    packages: tuple[str, ...]
    files: frozenset[str] = frozenset()
    sources: dict[str, list[str]] | None = None
    unsent: tuple[str, ...] = ()
    behind: tuple[str, ...] = ()


class Packing:
    """One step's inputs on their way into the store; ``optional`` names go along if they can, and so does ``beside``:
    what no name leads to, by held names."""

    def __init__(
        self,
        names: dict[str, Any],
        store: Store,
        facts: Facts,
        optional: frozenset[str] = frozenset(),
        beside: Mapping[str, Any] = types.MappingProxyType({}),
    ) -> None:
        self._optional = optional.union(beside)
        self._all = names
        self._store = store
        self._facts = facts
        self._beside = beside
        self._real = self._known()
        self._references: list[dict[str, Any]] = []
        self._done: set[str] = set()
        self._pure: set[str] = set()
        self._used: set[str] = set()
        self._packages: set[str] = set()
        self._files: set[str] = set()

    def pack(self, wanted: set[str], magics: Mapping[str, Any]) -> Inputs:
        """Store the names and the notebook's own magics, what they need and what shares objects with them. Raises
        CannotTravel."""
        with writing(self._store, self._all) as (self._batch, self._definitions):
            for place, magic in magics.items():
                wanted = wanted | self._pack_magic({MAGICS: as_held({place: magic})})
            self._pack_all(wanted | self._beside.keys())
        self._packages |= {v.__name__ for v in self._real.values() if issubclass(type(v), types.ModuleType)}
        # What is known of the cell's own text is not known of the functions that it calls.
        pure, packages = tuple(sorted(self._pure - self._used)), tuple(sorted(self._packages))
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
            self._used |= names_used_by(self._real[name], self._all) & self._all.keys()
        return (reached | self._used) & self._all.keys() | wanted & self._beside.keys()

    def _pass_on(self, name: str) -> set[str]:
        """A value that is still in the store goes as its reference; returns the names that its classes need."""
        value = self._all[name]
        group = group_of(value)
        if group.is_pending:
            return self._awaited(name, group)
        if group.unavailable is not None and name in self._optional:
            self._done.add(name)
            return set()
        group.check_available()
        bound = [n for n, v in self._all.items() if is_stand_in(v) and group_of(v) is group and v._self_name == n]
        if name not in bound:  # an alias made by assignment: only the value itself can say what it is
            group.fetch()
            self._real[name] = self._all[name]
            return {name}
        self._done.update(bound)
        reference = group.reference
        self._note(bound, reference.modules, reference.tokens)
        self._files.update(reference.files)
        self._references.append({**reference.to_dict(), "bind": bound})
        needed = self._names_of_definitions(reference.tokens) | set(reference.uses)
        self._used |= needed
        return needed

    def _awaited(self, name: str, group: LazyGroup) -> set[str]:
        """Wait for the step that makes the value; the name is then bound to it."""
        try:
            group.check_available(name)
        except Exception:  # of the step's own
            if name not in self._optional:
                raise
            self._done.add(name)
            return set()
        self._real = self._known()
        return {name}

    def _pack_real(self, names: set[str]) -> set[str]:
        """Pack the groups that hold these names; returns further names that their definitions need."""
        if not names:
            return set()
        needed: set[str] = set()
        for group, bases in self._groups(names):
            values, packed = self._packed(group, bases)
            if packed is None:
                continue
            self._done.update(values)
            needed |= self._keep(values, packed)
        self._used |= needed
        return needed

    def _keep(self, values: dict[str, Any], packed: Packed) -> set[str]:
        """Store what was packed; returns the names that its functions and classes need."""
        reference = store_packed(packed, values, self._batch, self._definitions)
        self._references.append(reference.to_dict())
        self._files |= packed.files
        self._note(values, packed.modules, tuple(packed.definitions))
        used = {name for each in packed.functions for name in names_used_by(each, self._all)}
        return used | self._names_of_definitions(reference.tokens)

    def _pack_magic(self, values: dict[str, Any]) -> set[str]:
        """One that cannot travel is not found in the step, which says enough."""
        try:
            return self._keep(values, pack_group(values, self._all))
        except CannotTravel:
            return set()

    def _packed(self, values: dict[str, Any], bases: frozenset[int] | None) -> tuple[dict[str, Any], Packed | None]:
        """The group, without those of its optional names that cannot travel."""
        while values:
            try:
                return values, pack_group(values, self._all, bases=bases, where=" to the step")
            except CannotTravel as error:
                if error.name not in self._optional or error.name not in values:
                    raise
                self._done.add(error.name)
                values = {name: value for name, value in values.items() if name != error.name}
        return values, None

    def _groups(self, names: set[str]) -> list[tuple[dict[str, Any], frozenset[int] | None]]:
        values = {name: self._real[name] for name in sorted(names)}
        simple = [name for name, value in values.items() if type(value) in _CONSTANT]
        rest = {name: value for name, value in values.items() if name not in simple}
        groups: list[tuple[dict[str, Any], frozenset[int] | None]] = [({n: values[n]}, frozenset()) for n in simple]
        if rest:
            # held by the namespace, by the real names, by values and by rest
            sharing = find_sharing(rest, holders=4)
            wanted = {*rest, *sharing.definitions}
            if sharing.is_shared_outside:
                others = {n: v for n, v in self._real.items() if self._may_share(n, v) and n not in rest}
                sharing = find_sharing({**rest, **others}, leading=rest.keys())
            found = [group for group in sharing.groups if not wanted.isdisjoint(group)]
            groups += [(self._values(group, sharing), sharing.bases) for group in found]
        return groups

    def _values(self, group: tuple[str, ...], sharing: Sharing) -> dict[str, Any]:
        held = sharing.definitions
        return {name: entry_of(held[name]) if name in held else self._real[name] for name in group}

    def _may_share(self, name: str, value: Any) -> bool:
        if type(value) in _CONSTANT or name in SHELL_NAMES:
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

    def _known(self) -> dict[str, Any]:
        """What is here, with what goes along beside the names."""
        return {name: value for name, value in self._all.items() if not is_stand_in(value)} | dict(self._beside)
