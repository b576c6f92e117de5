"""What a cell has made: names bound, changed or deleted, the last expression's value, or an error."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from cellyard.analysis import names_used_by
from cellyard.artifacts.artifact import Packed, pack_group, store_packed, writing
from cellyard.artifacts.canonical import LARGEST_DIGESTED, canonical_digest
from cellyard.artifacts.changes import LoadedGroup
from cellyard.artifacts.definitions import registry
from cellyard.artifacts.exceptions import words_of
from cellyard.artifacts.held import entry_of
from cellyard.artifacts.holding import holds_objects
from cellyard.artifacts.patches import PATCH
from cellyard.artifacts.previews import preview_of
from cellyard.artifacts.reference import earlier_name, is_held
from cellyard.artifacts.sharing import Sharing, find_sharing
from cellyard.artifacts.store import Store
from cellyard.errors import CannotTravel
from cellyard.worker.shell import StepShell

__all__ = ["collect_outputs", "describe_error"]

MUCH = 4 << 20
"""Bytes above which storing takes longer than asking the system for more processors."""
_OF_SHELL = {"In", "Out", "_ih", "_oh", "_dh", "_i", "_ii", "_iii", "get_ipython", "exit", "quit"}
_HIDDEN = _OF_SHELL | {"__warningregistry__", "__builtins__"}
#: How many of the values that a cell shows IPython knows afterwards: ``_``, ``__`` and ``___``.
_KEPT = 3
_CONSTANT = (type(None), bool, int, float, complex, str, bytes)


def collect_outputs(
    shell: StepShell,
    before: Mapping[str, Any],
    groups: Sequence[LoadedGroup],
    store: Store,
    *,
    held: Mapping[str, Any],
    holders: Sequence[Any] = (),
    wanted: Iterable[str] | None,
    may_lack: bool = False,
    is_kept: bool = False,
    roomy: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Store everything that must come back; ``held`` are the changes in functions and classes, by their held names,
    ``holders`` those that came with the step and hold something that an output may share.
    ``roomy`` is called before much is stored, which is the worker's work and not the step's. With ``is_kept`` the
    result is for steps of other runs, too, and each reference has the ``canonical`` digest of its values.

    Returns ``outputs`` (references, also of names that cannot travel, with the reason), ``deleted`` (names) and
    ``result`` (the reference of the last expression's value, if one was shown). Raises
    :class:`~cellyard.errors.CannotTravel` for a name of ``wanted`` that cannot be pickled, unless it ``may_lack`` some.
    """
    namespace = shell.user_ns
    hook = shell.displayhook
    hook.end()
    touched = _touched(namespace, before)
    for group in groups:
        if group.changed():
            touched.update(n for n, value in group.values.items() if namespace.get(n, touched) is value)
    if wanted is not None:
        touched &= set(wanted)
    candidates = {name: namespace[name] for name in namespace if name in touched}
    candidates.update(held if wanted is None else {})
    number = shell.displayhook.prompt_count
    result = f"_{number}" if number else "_"  # as IPython names it
    shown = {earlier_name(result, at): value for at, value in enumerate(reversed(hook.values[-_KEPT:]))}
    candidates.update(shown)
    inputs = _untouched_inputs(groups, namespace, touched)
    needed = set() if may_lack else set(wanted or ())
    stored, packed = _pack_candidates(candidates, inputs, holders, namespace, needed)
    if sum(one.size for one, _ in packed) > MUCH:
        roomy()
    outputs = [*stored, *_store_all(packed, namespace, store, needed)]
    if is_kept:
        _add_digests(outputs, (group for one, group in packed if one.size <= LARGEST_DIGESTED))
    deleted = [name for name in before if name not in namespace and name not in _HIDDEN]
    return {
        "outputs": [o for o in outputs if not shown or o["names"] != [result]],
        "deleted": deleted,
        "result": next((o for o in outputs if shown and result in o["names"]), None),
    }


def _store_all(
    packed: Sequence[tuple[Packed, dict[str, Any]]], namespace: dict[str, Any], store: Store, wanted: set[str]
) -> list[dict[str, Any]]:
    """References to what was packed; the reasons, where a function or class that it needs cannot travel."""
    stored: list[dict[str, Any]] = []
    with writing(store, namespace) as (batch, definitions):
        for one, group in packed:
            try:
                uses = {name for each in one.functions for name in names_used_by(each, namespace)}
                reference = store_packed(one, group, batch, definitions)
                stored.append(replace(reference, uses=tuple(sorted(uses))).to_dict())
            except CannotTravel as error:
                if not wanted.isdisjoint(group):
                    raise
                stored.extend(_unavailable(n, value, error) for n, value in group.items() if not is_held(n))
    return stored


def _add_digests(outputs: Sequence[dict[str, Any]], groups: Iterable[Mapping[str, Any]]) -> None:
    by_names = {tuple(group): group for group in groups}
    for output in outputs:
        group = by_names.get(tuple(output["names"]))
        digest = None if group is None else canonical_digest(dict(group))
        if digest is not None:
            output["canonical"] = digest


def _touched(namespace: Mapping[str, Any], before: Mapping[str, Any]) -> set[str]:
    missing = object()
    names = (n for n, value in namespace.items() if before.get(n, missing) is not value)
    return {name for name in names if name not in _HIDDEN and not (name.startswith("_i") and name[2:].isdigit())}


def _untouched_inputs(groups: Sequence[LoadedGroup], namespace: Mapping[str, Any], touched: set[str]) -> dict[str, Any]:
    """Inputs that still have their value, definitions that came with them because they share objects, and what is set
    in modules: an output may share these, too."""
    found: dict[str, Any] = {}
    for group in groups:
        for name, value in group.values.items():
            if name.startswith(PATCH):
                found[name] = value
            elif is_held(name):
                found.update({name: value["definition"]} if value.get("definition") is not None else {})
            elif name not in touched and namespace.get(name) is value:
                found[name] = value
    return found


def _pack_candidates(
    candidates: dict[str, Any],
    inputs: dict[str, Any],
    holders: Sequence[Any],
    namespace: dict[str, Any],
    wanted: set[str],
) -> tuple[list[dict[str, Any]], list[tuple[Packed, dict[str, Any]]]]:
    """The references of what cannot travel, and all that can, packed."""
    everything, sharing = _sharing_of(candidates, inputs, holders)
    stored, packed = _pack_all(candidates, everything, sharing, namespace, wanted)
    if sharing.bases is None and any(holds_objects(d) for one, _ in packed for d in one.definitions.values()):
        sharing = find_sharing(everything, thorough=True, definitions=holders)
        stored, packed = _pack_all(candidates, everything, sharing, namespace, wanted)
    return stored, packed


def _pack_all(
    candidates: dict[str, Any],
    everything: dict[str, Any],
    sharing: Sharing,
    namespace: dict[str, Any],
    wanted: set[str],
) -> tuple[list[dict[str, Any]], list[tuple[Packed, dict[str, Any]]]]:
    stored: list[dict[str, Any]] = []
    packed: list[tuple[Packed, dict[str, Any]]] = []
    for names in sharing.groups:
        if candidates.keys().isdisjoint(names) and not _has_new(names):
            continue
        group = {name: _packable(name, names, candidates, everything, sharing) for name in names}
        _pack_or_explain(group, namespace, sharing.bases, wanted, packed, stored)
    return stored, packed


def _packable(
    name: str, names: Sequence[str], candidates: dict[str, Any], everything: dict[str, Any], sharing: Sharing
) -> Any:
    """The value of a name; of a definition, what it holds, where others share that or it came with an input."""
    if name in sharing.definitions and len(names) > 1:
        return entry_of(sharing.definitions[name], candidates.get(name))
    is_definition = is_held(name) and name not in candidates and not name.startswith(PATCH)
    return entry_of(everything[name]) if is_definition else everything[name]


def _has_new(names: Sequence[str]) -> bool:
    """Whether some of it is held by a definition that was made here: definitions travel by themselves, without it."""
    return len(names) > 1 and bool(registry.origin) and any(is_held(n) and registry.origin in n for n in names)


def _sharing_of(
    candidates: dict[str, Any], inputs: dict[str, Any], holders: Sequence[Any]
) -> tuple[dict[str, Any], Sharing]:
    """What the candidates share, with each other and with inputs and holders, which are looked into only where that
    can be."""
    changing = {name: value for name, value in candidates.items() if type(value) not in _CONSTANT}
    if not changing or not (inputs or holders):
        return candidates, find_sharing(candidates)
    # held by the step's namespace, by the candidates and by this dictionary; by what watches the definitions
    sharing = find_sharing(changing, holders=3, of_held=1)
    if not sharing.is_shared_outside:
        constant = tuple((name,) for name in candidates if name not in changing)
        groups = sharing.groups + constant
        return candidates, Sharing(groups, sharing.bases, definitions=sharing.definitions)
    everything = {**inputs, **candidates}
    return everything, find_sharing(everything, thorough=True, definitions=holders)


def _pack_or_explain(
    group: dict[str, Any],
    namespace: dict[str, Any],
    bases: frozenset[int] | None,
    wanted: set[str],
    packed: list[tuple[Packed, dict[str, Any]]],
    stored: list[dict[str, Any]],
) -> None:
    """Pack the group; when a part of it cannot travel, the rest goes on without it."""
    try:
        packed.append((pack_group(group, namespace, bases=bases), group))
    except CannotTravel as error:
        if error.name in wanted:
            raise
        stored.append(_unavailable(error.name, group.get(error.name), error))
        rest = {name: value for name, value in group.items() if name != error.name}
        if rest and len(rest) < len(group):
            _pack_or_explain(rest, namespace, bases, wanted, packed, stored)


def _unavailable(name: str, value: Any, error: CannotTravel) -> dict[str, Any]:
    return {
        "id": "",
        "names": [name],
        "size": 0,
        "modules": [],
        "previews": {name: preview_of(value).to_dict()},
        "unavailable": error.to_dict(),
    }


def describe_error(error: BaseException, trace: list[str], namespace: dict[str, Any], store: Store) -> dict[str, Any]:
    """An exception of the user's code: its words, its coloured traceback, and itself if it can travel."""
    reference = _store_exception(error, namespace, store)
    if reference is None and (error.__cause__ or error.__context__):
        # What it came from is in the traceback; it must not keep the exception itself from its own type.
        error.__cause__ = error.__context__ = None
        reference = _store_exception(error, namespace, store)
    return {
        "type": type(error).__name__,
        "message": words_of(error),
        "traceback": list(trace),
        "exception": reference,
        "cause": None,
    }


def _store_exception(error: BaseException, namespace: dict[str, Any], store: Store) -> dict[str, Any] | None:
    values = {"exception": error}
    try:
        with writing(store, namespace) as (batch, definitions):
            return store_packed(pack_group(values, namespace), values, batch, definitions).to_dict()
    except CannotTravel:
        return None
