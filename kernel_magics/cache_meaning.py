"""What a cell means in a live notebook, as the parts of a cache key: the same as in a run of its file, where that can
be.

Functions and classes count by their source, whatever its comments; constants by their value; all other values by the
artifact that they are packed into, or that they came from.
"""

from __future__ import annotations

import ast
import hashlib
import inspect
import re
import textwrap
import types
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from cellyard.analysis import Facts, modules_imported_by, names_used_by
from cellyard.artifacts.canonical import LARGEST_DIGESTED, canonical_digest
from cellyard.artifacts.own_magics import MAGICS
from cellyard.artifacts.patches import PATCH
from cellyard.artifacts.reference import is_held
from cellyard.model.cache_key import identity_of
from cellyard.model.step_line import StepLine
from cellyard.notebook.effects import effects_of
from cellyard.notebook.meaning import OPTIONS, digest_of
from cellyard.notebook.surroundings import Surroundings
from cellyard.worker import process_state
from cellyard.worker.local_modules import local_tops
from kernel_magics.packing import Inputs
from kernel_magics.stand_ins import is_stand_in

__all__ = ["live_parts"]

_LITERALS = (type(None), bool, int, float, complex, str, bytes)


def live_parts(
    tree: ast.Module, facts: Facts, inputs: Inputs, options: StepLine, names: Mapping[str, Any], notebook: str
) -> dict[str, Any]:
    """The parts of the key of a cell that reads these inputs from a notebook's names."""
    reached = _reached(facts, names)
    definitions = {name: text for name in sorted(reached) if (text := _definition(names[name])) is not None}
    modules = {_top(names[name]) for name in reached} | facts.imported_modules | set(_modules(names, reached))
    passed = () if _uses_local(facts, modules, inputs, names, reached) else local_tops()
    identities = {
        name: identity
        for reference in inputs.references
        for identity in [_identity(reference, names)]
        for name in reference.get("bind") or reference["names"]
        if (name in reached and name not in definitions) or name == MAGICS or _is_patch(name, passed)
    }
    given = options.to_dict()
    parts: dict[str, Any] = {
        "code": digest_of(*tree.body),
        "definitions": definitions,
        "inputs": identities,
        "options": {name: str(given[name]) for name in OPTIONS if given.get(name)},
        **Surroundings(Path(notebook).parent).parts(modules, options.files),
    }
    imported = {name: names[name].__name__ for name in reached if type(names[name]) is types.ModuleType}
    if effects_of(tree.body, imported).random:
        state = repr(process_state.capture(process_state.RANDOM))
        parts["random"] = hashlib.sha256(state.encode()).hexdigest()[:32]
    return parts


def _identity(reference: Mapping[str, Any], names: Mapping[str, Any]) -> str:
    """What the values of a reference are known by; of those that are here, whatever they are in this process."""
    if "bind" not in reference and reference["size"] <= LARGEST_DIGESTED and not any(map(is_held, reference["names"])):
        digest = canonical_digest({name: names[name] for name in reference["names"]})
        if digest is not None:
            return digest
    return identity_of(reference)


def _reached(facts: Facts, names: Mapping[str, Any]) -> frozenset[str]:
    """The names that the cell leads to, through functions too."""
    pending = [name for name in facts.reads | facts.mentions if name in names]
    found: set[str] = set()
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            if not is_stand_in(names[name]):
                pending.extend(other for other in names_used_by(names[name], names) if other in names)
    return frozenset(found)


def _definition(value: Any) -> str | None:
    """What stands for a value that is part of the code; None for a value that is data."""
    if is_stand_in(value):
        return None
    if isinstance(value, types.ModuleType):
        return f"import {value.__name__}"
    if isinstance(value, types.FunctionType | type):
        if value.__module__ != "__main__":
            return f"import {value.__module__}.{value.__qualname__}"
        return _source(value)
    if type(value) in _LITERALS:
        return f"= {value!r}"
    return None


def _source(definition: Any) -> str:
    try:
        text = textwrap.dedent(inspect.getsource(definition))
        return digest_of(*ast.parse(text).body)
    except (OSError, TypeError, SyntaxError):
        code = getattr(definition, "__code__", None)
        marked = (code.co_code, code.co_consts, code.co_names) if code is not None else (id(definition),)
        return hashlib.sha256(repr(marked).encode()).hexdigest()[:32]


def _is_patch(name: str, passed: Collection[str]) -> bool:
    """Whether it stands for what is set in a module, but for those that are ``passed`` over."""
    return name.startswith(PATCH) and re.split(r"[.:]", name.removeprefix(PATCH), maxsplit=1)[0] not in passed


def _uses_local(
    facts: Facts, modules: set[str], inputs: Inputs, names: Mapping[str, Any], reached: frozenset[str]
) -> bool:
    """Whether the cell may lead to modules beside the notebook: what is in them means nothing for others."""
    found = set(modules)
    for reference in inputs.references:
        if not all(map(is_held, reference["names"])):
            found |= {each.partition(".")[0] for each in reference["modules"]}
    for name in reached:
        if not is_stand_in(names[name]):
            found |= modules_imported_by(names[name])
    return facts.uses_dynamic or not found.isdisjoint(local_tops())


def _top(value: Any) -> str:
    """The package that a value of an import comes from; empty for the notebook's own."""
    if is_stand_in(value):
        return ""
    module = value.__name__ if isinstance(value, types.ModuleType) else getattr(value, "__module__", "")
    top = module.partition(".")[0] if isinstance(module, str) else ""
    return "" if top in {"__main__", "builtins"} else top


def _modules(names: Mapping[str, Any], reached: frozenset[str]) -> Iterator[str]:
    for name in reached:
        yield _top(type(names[name]))
