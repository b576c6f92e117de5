"""``%steps preflight``: what would keep the notebook's steps from running, looked at without running any."""

from __future__ import annotations

import importlib.util
import time
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cellyard.analysis import NOBODY_TO_ASK
from cellyard.artifacts.artifact import pack_group
from cellyard.errors import CannotTravel, InvalidCell, InvalidSettings, NotFound
from cellyard.model.resources import Resources, format_memory
from cellyard.tables import Table
from cellyard.worker.measuring import size_of
from kernel_magics.preflight_elsewhere import told_by, versions_of
from kernel_magics.stand_ins import group_of, is_stand_in

if TYPE_CHECKING:
    from cellyard.service.client import EngineClient
    from kernel_magics.session import Session

__all__ = ["Preflight", "preflight"]

_WITHIN = 0.6
"""Seconds for trying whether values can travel; what is left then is not tried."""
_TRIED_BYTES = 8 << 20


@dataclass(slots=True)
class Looked:
    """One step: its size, the bytes that would have to be stored for it, and what is wrong, in sentences."""

    name: str
    size: str
    moves: int = 0
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    @property
    def row(self) -> list[str]:
        found = [*self.problems, *(f"(warning) {each}" for each in self.warnings)]
        return [self.name, self.size, format_memory(self.moves) if self.moves else "", "; ".join(found) or "none"]


class Preflight(Table):
    """What was found."""

    columns = ("step", "size", "to move", "problems")
    nothing = "There is no %%step in this notebook."

    def __init__(self, steps: Sequence[Looked]) -> None:
        super().__init__([step.row for step in steps])
        self.steps = list(steps)

    @property
    def ok(self) -> bool:
        """Whether nothing is known that would keep a step from running."""
        return not any(step.problems for step in self.steps)


def preflight(session: Session, wanted: Sequence[str]) -> Preflight:
    """Look at all steps of the notebook as it was last saved, or, where its file is not known, as its cells were run;
    or at those of these names."""
    path = Path(session.identity.notebook)
    if path.is_file():
        pipeline = session.client.pipeline(path=str(path))
    else:
        pipeline = session.client.pipeline(notebook=_document(session.shell.history_manager.input_hist_raw))
    names = [step["name"] for step in pipeline["steps"]]
    for name in wanted:
        if name not in names:
            raise NotFound(what=f"step {name!r} in this notebook", hint=f"It has: {', '.join(names) or 'none'}.")
    deadline = time.monotonic() + _WITHIN
    away = {step["cell"] for step in pipeline["steps"] if not session.is_here(step["options"].get("backend"))}
    earlier = session.client.notebook_steps(session.identity.notebook) if away else []
    found = []
    for step in pipeline["steps"]:
        if not str(step.get("source") or "").strip() or (wanted and step["name"] not in wanted):
            continue
        told = [each for each in pipeline["problems"] if each["cell"] == step["cell"]]
        found.append(looked := _look(session, step, told, deadline))
        if step["cell"] in away:
            _look_elsewhere(session, step, earlier, looked)
    return Preflight(found)


def _look(session: Session, step: Mapping[str, Any], told: Sequence[Mapping[str, Any]], deadline: float) -> Looked:
    looked = Looked(step["name"], str(Resources.from_dict(step["resources"])))
    is_here = session.is_here(step["options"].get("backend"))
    can_ask = is_here and not step["options"].get("is_async")
    for each in told:
        if can_ask and NOBODY_TO_ASK in each["message"]:
            continue
        kind = looked.problems if each["level"] == "error" else looked.warnings
        kind.append(f"line {each['line']}: {each['message']}")
    looked.problems += _shortages(session.client, step)
    missing = _missing_modules(session, step["source"])
    if is_here:
        looked.problems += [f"there is no module {each!r} in this environment" for each in missing]
    else:
        looked.warnings += [f"there is no module {each!r} here: the worker's image must have it" for each in missing]
    names = session.namespace.names
    for version in step["reads"]:
        name = str(version).partition("@")[0]
        if name in names:
            _look_at_value(name, names, looked, deadline)
    return looked


def _look_elsewhere(
    session: Session, step: Mapping[str, Any], earlier: Sequence[Mapping[str, Any]], looked: Looked
) -> None:
    try:
        modules = session.namespace.analyze(step["source"]).imported_modules
    except InvalidCell:  # has been told
        return
    names = session.namespace.names
    read = (names.get(str(version).partition("@")[0]) for version in step["reads"])
    needed = {*modules, *(each.__name__ for each in read if isinstance(each, types.ModuleType))}
    told = told_by(earlier, step, versions_of(needed))
    looked.problems += told.problems
    looked.warnings += told.warnings


def _shortages(client: EngineClient, step: Mapping[str, Any]) -> Iterator[str]:
    options = step["options"]
    try:
        short = client.lacking(step["resources"], on=options.get("backend") or "", fit=bool(options.get("fit")))
    except InvalidSettings as error:
        yield str(error)
        return
    if short:
        yield f"it can never get {short}"


def _look_at_value(name: str, names: dict[str, Any], looked: Looked, deadline: float) -> None:
    value = names[name]
    if is_stand_in(value):
        unavailable = group_of(value).unavailable
        looked.problems += [str(unavailable)] if unavailable is not None else []
        return  # it is in the store already
    size = size_of(value)
    looked.moves += size
    if size > _TRIED_BYTES or time.monotonic() > deadline:
        return
    try:
        pack_group({name: value}, names, where=" to the step")
    except CannotTravel as error:
        looked.problems.append(str(error))


def _missing_modules(session: Session, source: str) -> Iterator[str]:
    try:
        modules = sorted(session.namespace.analyze(source).imported_modules)
    except InvalidCell:  # has been told
        return
    for module in modules:
        try:
            is_there = importlib.util.find_spec(module) is not None
        except (ImportError, ValueError):
            is_there = False
        if not is_there:
            yield module


def _document(cells: Sequence[str]) -> dict[str, Any]:
    """The cells that were run, as a notebook; of those that were run again the last."""
    texts = list(dict.fromkeys(reversed([str(cell) for cell in cells if str(cell).strip()])))[::-1]
    own = [text for text in texts if not text.startswith("%steps")]
    found: list[dict[str, Any]] = [
        {"cell_type": "code", "id": f"cell-{n}", "metadata": {}, "source": text, "outputs": [], "execution_count": None}
        for n, text in enumerate(own)
    ]
    return {"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": found}
