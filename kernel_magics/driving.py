"""Driving: the kernel's part in a run of its notebook as a pipeline.

Whoever drives the run has the preamble cells run here first, then asks for the requests of steps, and puts names in
their places before a plain cell runs that shows something. Each cell sees the names as they are where it stands in the
notebook, whatever has run meanwhile.
"""

from __future__ import annotations

import base64
import contextlib
import json
import pickle
import random
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cellyard.artifacts.held import put_back
from cellyard.artifacts.reference import is_held
from cellyard.errors import CellyardError
from cellyard.model.step import StepRequest
from cellyard.model.step_line import StepLine
from cellyard.worker import process_state
from kernel_magics.extension import load
from kernel_magics.packing import SHELL_NAMES
from kernel_magics.stand_ins import LazyGroup, StandIn
from kernel_magics.step_magic import StepCell, know_text

__all__ = ["Driver", "answer", "driver_of"]

_OWN = frozenset({*SHELL_NAMES, "_", "__", "___"})


@dataclass(slots=True)
class _Cell:
    """What a cell has bound, and the process state that it has left."""

    index: int
    is_preamble: bool
    names: dict[str, Any] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    state: Mapping[str, Any] = field(default_factory=dict)


class Driver:
    """One kernel's. All methods are called between cells."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._session = load(shell)
        self._session.prepared()
        self._session.namespace.leave_local_modules()
        self._cells: list[_Cell] = []
        self._held: set[tuple[str, str]] = set()
        self._groups: dict[str, LazyGroup] = {}
        self._before = dict(self._names)
        self._start = process_state.portable(process_state.capture())
        self._state = self._start
        self._step = _DrivenStep(self._session)
        self._changed: list[Any] = []
        """What steps have changed in classes, which live on while nothing that is loaded names them."""

    @property
    def _names(self) -> dict[str, Any]:
        names: dict[str, Any] = self._shell.user_ns
        return names

    def is_ready(self) -> bool:
        """Whether the kernel can be driven."""
        return True

    def ran(self, index: int, *, is_preamble: bool) -> None:
        """A cell has run: note what it has bound, for the cells below it."""
        now = dict(self._names)
        missing = object()
        bound = {name: value for name, value in now.items() if self._before.get(name, missing) is not value}
        state = process_state.portable(process_state.capture())
        changed = {name: value for name, value in state.items() if not process_state.same(value, self._state.get(name))}
        gone = frozenset(name for name in self._before if name not in now and name not in _OWN)
        own = {name: value for name, value in bound.items() if not _is_own(name)}
        self._cells.append(_Cell(index, is_preamble, own, gone, changed))
        self._cells.sort(key=lambda each: each.index)
        self._before, self._state = now, state

    def set_parameters(self, values: Mapping[str, Any]) -> None:
        """The parameters' values, right after their cell."""
        self._names.update(values)

    def place(self, index: int, given: Mapping[str, Any]) -> None:
        """Put all names in the places that they have before a cell, which runs next."""
        self._put_back(given["held"])
        self._put(self._visible(index, given["inputs"], also_shown=True))
        state = self._state_before(index, given["states"], also_shown=True)
        process_state.apply(state)
        self._before = dict(self._names)
        self._state = process_state.portable(process_state.capture())

    def request(self, index: int, given: Mapping[str, Any]) -> dict[str, Any]:
        """The request of the step that a cell is, with what it needs of the preamble packed. Raises CannotTravel and
        what else keeps it from being one."""
        self._put_back(given["held"])
        kept = dict(self._names)
        self._put(self._visible(index, given["inputs"], also_shown=False))
        try:
            state = self._state_before(index, given["states"], also_shown=False)
            if given["draws_afresh"]:
                state |= _fresh_random()
            return self._step.request(given, state).to_dict()
        finally:
            self._put(kept)

    def _visible(self, index: int, inputs: Sequence[Mapping[str, Any]], *, also_shown: bool) -> dict[str, Any]:
        """The names before a cell: from cells that ran here, and, later than these, from steps."""
        found = {name: value for name, value in self._names.items() if _is_own(name)}
        for cell in self._cells:
            if cell.index < index and (cell.is_preamble or also_shown):
                for name in cell.deleted:
                    found.pop(name, None)
                found.update(cell.names)
        for reference in inputs:
            group = self._group(reference)
            if also_shown and group.is_fetched:  # cells that run here share what one of them has fetched
                values = group.fetch()
                found.update({name: values[name] for name in reference["bind"]})
            else:
                found.update({name: StandIn(group, name) for name in reference["bind"]})
        return found

    def _group(self, reference: Mapping[str, Any]) -> LazyGroup:
        if not reference["id"]:
            return self._session.namespace.waiting(reference)
        if reference["id"] not in self._groups:
            self._groups[reference["id"]] = self._session.namespace.waiting(reference)
        return self._groups[reference["id"]]

    def _put(self, names: Mapping[str, Any]) -> None:
        for name in self._names.keys() - names.keys():
            del self._names[name]
        self._names.update(names)

    def _put_back(self, held: Sequence[Sequence[Any]]) -> None:
        """What steps have changed in functions and classes, once each."""
        for step, reference in held:
            if (step, reference["id"]) not in self._held:
                self._held.add((step, reference["id"]))
                values = self._session.namespace.load(reference)
                for name in filter(is_held, values):
                    put_back(name, values[name])
                self._changed.append(values)

    def _state_before(self, index: int, steps: Sequence[Sequence[Any]], *, also_shown: bool) -> dict[str, Any]:
        """The process state before a cell: what was there at first, and what each cell above has changed in it."""
        changes: list[tuple[int, Mapping[str, Any]]] = [
            (cell.index, cell.state) for cell in self._cells if cell.index < index and (cell.is_preamble or also_shown)
        ]
        changes += [(int(cell), pickle.loads(base64.b64decode(kept))) for cell, kept in steps]
        found = dict(self._start)
        for _, change in sorted(changes, key=lambda each: each[0]):
            found.update(change)
        return found


class _DrivenStep(StepCell):
    """A step's request from what the driver says, not from a cell that runs."""

    def request(self, given: Mapping[str, Any], state: Mapping[str, Any]) -> StepRequest:
        self._given, self._given_state = given, state
        return self._request_of(given["line"], given["source"])

    def _request_of(self, line: str, cell: str) -> StepRequest:
        options = self._session.identity.placed(StepLine.from_dict(self._given["options"]))
        self._know(cell)
        _, _, common = self._packed(self._given["name"], cell, options)
        return StepRequest(
            **common,
            cell_id=self._given["cell_id"],
            line=line,
            raw_line=self._given["raw_line"],
            execution_count=self._given["number"],
            key=self._given["key"],
            parts=self._given["parts"],
            reuse=self._given["reuse"],
        )

    def _know(self, cell: str) -> None:
        """Functions that the step defines have the cell as their source."""
        text = (f"%%step {self._given['line']}\n" if self._given["marked"] else "") + cell
        self._path: str = self.shell.compile.get_code_name(text, text, self._given["number"])
        know_text(self._path, text)

    def _file(self) -> str:
        return self._path

    def _captured(self) -> dict[str, Any]:
        return dict(self._given_state)

    def _line_offset(self) -> int:
        return 1 if self._given["marked"] else 0


def _fresh_random() -> dict[str, Any]:
    """A random state that nobody else has."""
    random.seed()
    if "numpy.random" in sys.modules:
        sys.modules["numpy.random"].seed()
    if "torch" in sys.modules:
        sys.modules["torch"].seed()
    return process_state.capture(process_state.RANDOM)


def _is_own(name: str) -> bool:
    """Whether a name is IPython's own, which cells see wherever they stand."""
    return name in _OWN or name.startswith("__") or (name.startswith("_i") and name[2:].isdecimal())


_DRIVERS: dict[int, Driver] = {}


def driver_of(shell: Any) -> Driver:
    """The driver of a kernel; loads the extension where its notebook has not."""
    if id(shell) not in _DRIVERS:
        _DRIVERS[id(shell)] = Driver(shell)
    return _DRIVERS[id(shell)]


def answer(shell: Any, method: str, given: str) -> str:
    """What a method of the driver answers, as JSON: for whoever drives a kernel from outside."""
    with contextlib.suppress(KeyboardInterrupt):
        try:
            arguments = json.loads(given)
            found = getattr(driver_of(shell), method)(*arguments["given"], **arguments["named"])
        except CellyardError as error:
            return json.dumps({"error": error.to_dict()})
        return json.dumps({"answer": found})
    return json.dumps({"error": CellyardError("interrupted").to_dict()})
