"""The plan of a run: for each step whether it runs or an earlier result is taken, and why. Pure: facts in, a plan out.

A result is taken when everything that a step means is the same: its code and what that reaches, its inputs, packages,
files, options. An input made by a step that is itself reused is known by its artifact; one that is made again is not
known before it has been made, so who reads it is planned to run. (If the value turns out to be the same, the result is
taken after all.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from cellyard.model.cache_key import code_diff, differences, identity_of, key_of

if TYPE_CHECKING:
    from cellyard.records import CachedResult

__all__ = ["PlanStep", "Task", "Wanted", "make_plan"]

_RANDOM = "random"
Lookup = Callable[[str], "CachedResult | None"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is known of one step before anything runs. ``parts`` are those of its key that its text and surroundings
    tell; ``sources``: for each input who may have made it, the latest first; ``after``: all steps that come before it.
    ``random``: the step that the random state comes from ("" for the start), None where it is not used. ``state``: the
    step that the rest of the process state comes from, "" for the start. ``outside``: why the same meaning need not
    have the same result. ``is_step`` False: a cell that runs in the notebook's kernel."""

    name: str
    source: str
    parts: Mapping[str, Any]
    sources: Mapping[str, Sequence[str]] = field(default_factory=dict)
    after: Sequence[str] = ()
    random: str | None = None
    state: str = ""
    outside: str = ""
    is_step: bool = True


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of a pipeline is to be carried out. ``only``: these steps, and what of their ancestors has no result; empty:
    all. ``start``: these run, and all that needs them. ``force``: everything runs. ``resumes``: the run whose results
    are taken, whatever made them."""

    only: frozenset[str] = frozenset()
    start: frozenset[str] = frozenset()
    force: bool = False
    resumes: int | None = None


@dataclass(frozen=True, slots=True)
class PlanStep:
    """``action`` is "run" or "reuse"; ``because`` a sentence; ``changes`` all that has changed, sentence by sentence,
    and ``diff`` the code's. ``key`` is None while an input is not known. ``result`` is what is reused."""

    name: str
    action: str
    because: str
    changes: tuple[str, ...] = ()
    diff: str = ""
    key: str | None = None
    parts: Mapping[str, Any] = field(default_factory=dict)
    result: CachedResult | None = None
    is_step: bool = True

    def to_dict(self) -> dict[str, Any]:
        """The decision as JSON."""
        return {
            "name": self.name,
            "action": self.action,
            "because": self.because,
            "changes": list(self.changes),
            "diff": self.diff,
            "key": self.key,
            "run": None if self.result is None else self.result.run_id,
            "result": None if self.result is None else self.result.id,
        }


def make_plan(
    tasks: Sequence[Task],
    wanted: Wanted,
    lookup: Lookup,
    *,
    latest: Mapping[str, CachedResult],
    of_run: Mapping[str, CachedResult],
) -> list[PlanStep]:
    """A decision for each task, which come in an order in which they can run. ``lookup`` finds a result by its key,
    ``latest`` has the newest of each step, ``of_run`` what the resumed run has made, by key."""
    planner = _Planner(wanted, lookup, latest, of_run)
    chosen = _chosen(tasks, wanted)
    return [planner.decide(task) for task in tasks if task.name in chosen or (not task.is_step and not wanted.only)]


def _chosen(tasks: Sequence[Task], wanted: Wanted) -> set[str]:
    """The steps that are carried out: those wanted, and their ancestors."""
    if not wanted.only:
        return {task.name for task in tasks}
    before = {task.name: {*task.after, *(one for makers in task.sources.values() for one in makers)} for task in tasks}
    found: set[str] = set()
    pending = [name for name in wanted.only if name in before]
    while pending:
        name = pending.pop()
        if name not in found:
            found.add(name)
            pending.extend(before[name] & before.keys())
    return found


class _Planner:
    def __init__(
        self, wanted: Wanted, lookup: Lookup, latest: Mapping[str, CachedResult], of_run: Mapping[str, CachedResult]
    ) -> None:
        self._wanted = wanted
        self._lookup = lookup
        self._latest = latest
        self._of_run = of_run
        self._decided: dict[str, PlanStep] = {}
        self._forced: set[str] = set()

    def decide(self, task: Task) -> PlanStep:
        """The decision on a task; those on all that it needs were made before."""
        found = self._decided[task.name] = self._decide(task)
        return found

    def _decide(self, task: Task) -> PlanStep:
        forced = self._why_forced(task)
        inputs, unknown = self._inputs(task)
        parts = {**task.parts, "inputs": inputs}
        random = self._random(task)
        if random is not None:
            parts["random"] = random
        elif task.random is not None:
            unknown = unknown or f"the random state comes from {task.random}, which runs"
        if task.state:
            parts["state"] = self._key_of(task.state)
            if not parts["state"]:
                unknown = unknown or f"the process state comes from {task.state}, which runs"
        if unknown:
            return self._run(task, forced or unknown, None, parts)
        key = key_of(parts)
        if forced:
            return self._run(task, forced, key, parts)
        resumed = self._of_run.get(key)
        if resumed is not None:
            because = f"it had succeeded in run {resumed.run_id}"
            return PlanStep(task.name, "reuse", because, (), "", key, parts, resumed, task.is_step)
        if task.outside:
            return self._run(task, task.outside, key, parts)
        # Mostly it is the step's newest result, which is at hand.
        last = self._latest.get(task.name)
        result = last if last is not None and last.key == key else self._lookup(key)
        if result is not None:
            because = f"nothing has changed since run {result.run_id}"
            return PlanStep(task.name, "reuse", because, (), "", key, parts, result, task.is_step)
        return self._changed(task, key, parts)

    def _why_forced(self, task: Task) -> str:
        if self._wanted.force:
            return "forced"
        if task.name in self._wanted.start:
            self._forced.add(task.name)
            return "asked for by --from"
        before = {*task.after, *(one for makers in task.sources.values() for one in makers)}
        origin = sorted(before & self._forced)
        if origin:
            self._forced.add(task.name)
            return f"it comes after {origin[0]}, which --from asks for"
        return ""

    def _inputs(self, task: Task) -> tuple[dict[str, str], str]:
        """The identity of each input; or why one of them is not known."""
        found: dict[str, str] = {}
        for name, makers in sorted(task.sources.items()):
            for maker in makers:
                made = self._decided.get(maker)
                if made is None or made.action == "run":
                    return found, f"{name} comes from {maker}, which runs"
                identity = _identity(made, name)
                if identity:
                    found[name] = identity
                    break
        return found, ""

    def _random(self, task: Task) -> str | None:
        """What is known of the random state that the step begins with."""
        return self._key_of(task.random) if task.random else task.random

    def _key_of(self, step: str) -> str | None:
        """The key of a step whose result is taken, else None."""
        made = self._decided.get(step)
        return None if made is None or made.result is None else made.key

    def _run(self, task: Task, because: str, key: str | None, parts: Mapping[str, Any]) -> PlanStep:
        return PlanStep(task.name, "run", because, (), "", key, parts, None, task.is_step)

    def _changed(self, task: Task, key: str, parts: Mapping[str, Any]) -> PlanStep:
        """It has to run: what has changed since it last did."""
        last = self._latest.get(task.name)
        if last is None:
            return self._run(task, "it has no earlier result", key, parts)
        changes = tuple(self._told(task, *change) for change in differences(last.parts, parts))
        diff = (
            code_diff(str(last.parts.get("source", "")), task.source) if last.parts.get("code") != parts["code"] else ""
        )
        because = changes[0] if changes else f"the result of run {last.run_id} is there no more"
        return PlanStep(task.name, "run", because, changes, diff, key, parts, None, task.is_step)

    def _told(self, task: Task, part: str, name: str, sentence: str) -> str:
        if part != "inputs" or name not in task.sources:
            return sentence
        for maker in task.sources[name]:
            made = self._decided.get(maker)
            if made is not None and made.result is not None and _identity(made, name):
                return f"{sentence}: made by {maker}, run {made.result.run_id}"
        return sentence


def _identity(made: PlanStep, name: str) -> str:
    """What a name is known by that a reused step has made: the canonical digest of its value, else what is stored;
    empty when it has not made it."""
    if not made.is_step:
        return str(made.key)
    outputs = made.result.content.get("outputs") or () if made.result is not None else ()
    return next((identity_of(each) for each in outputs if name in each["names"]), "")
