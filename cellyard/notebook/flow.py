"""Flow: how far the run of a pipeline has come, and what may begin next. Pure memory; nothing is run here.

The pipeline tells what goes where before anything has run. What has run knows better: which names were really made,
which share an object, and what was changed without a sign in the code. A step that began too early, because nobody
could know, is begun again; so the values are those of the notebook run from top to bottom.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cellyard.model.cache_key import identity_of
from cellyard.model.pipeline import PipelineStep
from cellyard.notebook.building import Graph
from cellyard.notebook.nodes import Node

__all__ = ["PREAMBLE", "Flow", "Made"]

PREAMBLE = "preamble"
"""Who made a name that a preamble cell has bound."""
RANDOM = "random state"
_NOT_NAMED = re.compile(r"@|_[0-9]+\Z")
"""What a step has changed in a definition; what it has shown, under a number that another run may give to another
cell."""
_SEED = re.compile(r"seed\(|set_?(rng_)?state\(")
_RANDOM_SECTIONS = frozenset({"random", "numpy_random", "torch_random"})


@dataclass(frozen=True, slots=True)
class Made:
    """What a step has left: references by name, names that are gone, its process state as its end told it, and
    references of what it has changed in functions and classes (``held``)."""

    references: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    deleted: frozenset[str] = frozenset()
    process_state: Mapping[str, Any] | None = None
    held: tuple[Mapping[str, Any], ...] = ()

    @classmethod
    def of(cls, finished: Mapping[str, Any]) -> Made:
        """Of the content of a finished event."""
        outputs = finished["outputs"]
        references = {name: each for each in outputs for name in each["names"] if not _NOT_NAMED.match(name)}
        held = tuple(each for each in outputs if any(name.startswith("@") for name in each["names"]))
        return cls(references, frozenset(finished["deleted"]), finished.get("process_state"), held)

    @property
    def draws(self) -> bool:
        """Whether the step has changed the random state, as everybody does who draws from it."""
        return bool(_RANDOM_SECTIONS & set((self.process_state or {}).get("sections") or ()))


class Flow:
    """The state of one run. ``chosen``: the steps that are carried out (None: all)."""

    def __init__(self, graph: Graph, chosen: Iterable[str] | None = None) -> None:
        wanted = None if chosen is None else set(chosen)
        self.steps: dict[str, PipelineStep] = {
            step.name: step for step in graph.pipeline.steps if wanted is None or step.name in wanted
        }
        self._nodes: dict[str, Node] = {
            name: node for node in graph.nodes if (name := graph.names.get(node.cell, "")) in self.steps
        }
        self._before = graph.pipeline.before()
        self._ordering = _ordering(graph, self.steps)
        self._made: dict[str, Made] = {}
        self._used: dict[str, dict[str, str]] = {}
        self._running: set[str] = set()
        self._makers: dict[str, list[tuple[int, str]]] = {}
        self._draws: set[str] = set()
        seeds = [node.cell for node in graph.nodes if _SEED.search(node.reading.body)]
        self._first_seed = min(seeds, default=None)
        for name, node in self._nodes.items():
            for each in node.makes:
                self._makers.setdefault(each, []).append((node.cell, name))
            if node.random:
                self._note_random(name)
        for node in graph.nodes:
            if node.role in {"preamble", "parameters"}:
                for each in node.writes:
                    self._makers.setdefault(each, []).append((node.cell, PREAMBLE))
        for makers in self._makers.values():
            makers.sort()

    # -- what is asked

    @property
    def done(self) -> frozenset[str]:
        """The steps that have ended well."""
        return frozenset(self._made)

    @property
    def is_complete(self) -> bool:
        """Whether every step has ended well."""
        return len(self._made) == len(self.steps)

    @property
    def begun(self) -> frozenset[str]:
        """The steps that run."""
        return frozenset(self._running)

    def made(self, name: str) -> Made:
        """What a step has left that has ended well."""
        return self._made[name]

    def ready(self) -> list[str]:
        """The steps that may begin now, in the notebook's order."""
        return [name for name in self.steps if self._may_begin(name)]

    def inputs(self, name: str) -> list[dict[str, Any]]:
        """What a step that may begin is given by others: references, each with the names to ``bind`` that it is to be
        known by."""
        return self.visible(self._nodes[name].cell, self._nodes[name].reads)

    def visible(self, cell: int, names: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """The references of these names (None: of all) as they are before a cell, from the steps that have ended."""
        wanted = set(self._makers) if names is None else set(names)
        found: dict[str, dict[str, Any]] = {}
        pending = sorted(wanted)
        while pending:
            name = pending.pop()
            maker = self._maker(name, cell)
            if maker is None or maker not in self._made:
                continue
            reference = self._made[maker].references[name]
            entry = found.setdefault(reference["id"] or f"?{name}", {**reference, "bind": []})
            if name not in entry["bind"]:
                entry["bind"].append(name)
                # What shares an object with it goes with it, as far as it is still the same.
                others = [other for other in reference["names"] if other not in wanted and other in self._makers]
                pending.extend(others)
                wanted.update(others)
        return sorted(found.values(), key=lambda each: sorted(each["bind"]))

    def identities(self, name: str) -> tuple[dict[str, str], str | None]:
        """What a step that may begin is given, as cache keys know it: the id of each input's artifact; and the step
        that the random state comes from ("" for none, None where it is not used)."""
        node = self._nodes[name]
        found: dict[str, str] = {}
        for read in sorted(node.reads):
            maker = self._maker(read, node.cell)
            if maker in self._made:
                found[read] = identity_of(self._made[maker].references[read])
        return found, self._random_before(name) if name in self._draws else None

    def states(self, cell: int) -> list[tuple[int, str]]:
        """The process state that the steps before a cell have left, in order: their cells, and what they changed."""
        found = [
            (self._nodes[name].cell, str(made.process_state["kept"]))
            for name, made in self._made.items()
            if made.process_state and made.process_state.get("kept") and self._nodes[name].cell < cell
        ]
        return sorted(found)

    def is_seeded(self, name: str) -> bool:
        """Whether a step's random state was set by a cell above it, or by itself. Otherwise any is as good as
        another."""
        return self._first_seed is not None and self._first_seed <= self._nodes[name].cell

    def draws_afresh(self, name: str) -> bool:
        """Whether a step is to begin with a random state of its own, so that no two draw the same numbers."""
        return not self.is_seeded(name) and not (name in self._draws and self._random_before(name))

    def held(self, cell: int) -> list[tuple[str, Mapping[str, Any]]]:
        """What the steps before a cell have changed in functions and classes: the step, and the reference."""
        found = [
            (self._nodes[name].cell, name, each)
            for name, made in self._made.items()
            for each in made.held
            if self._nodes[name].cell < cell
        ]
        return [(name, each) for _, name, each in sorted(found, key=lambda one: one[0])]

    def all_done_before(self, cell: int) -> bool:
        """Whether every step above a cell has ended well."""
        return all(name in self._made for name, node in self._nodes.items() if node.cell < cell)

    # -- what happens

    def begin(self, name: str) -> None:
        """The step runs now, with what there is."""
        node = self._nodes[name]
        self._running.add(name)
        together = {bound for each in self.inputs(name) for bound in each["bind"]}
        used = {read: maker for read in node.reads | together if (maker := self._maker(read, node.cell)) is not None}
        self._used[name] = used | {RANDOM: self._random_before(name)}

    def end(self, name: str, made: Made) -> list[str]:
        """The step has ended well. Returns those that are to be begun again, because they have used what it has changed
        without anybody expecting it: running ones are to be stopped first."""
        self._running.discard(name)
        self._made[name] = made
        cell = self._nodes[name].cell
        for each in {*made.references, *made.deleted}:
            makers = self._makers.setdefault(each, [])
            if (cell, name) not in makers:
                makers.append((cell, name))
                makers.sort()
        if made.draws and self.is_seeded(name):
            self._note_random(name)
        return self._take_back(set(self._stale()))

    def stop(self, name: str) -> None:
        """The step does not run any more, and has not ended well."""
        self._running.discard(name)
        self._used.pop(name, None)

    # -- how it is found out

    def _stale(self) -> Iterator[str]:
        """Steps that run or have ended with what is not the latest any more."""
        for name, used in self._used.items():
            node = self._nodes[name]
            if (name in self._draws and used[RANDOM] != self._random_before(name)) or any(
                self._maker(read, node.cell) != maker for read, maker in used.items() if read != RANDOM
            ):
                yield name

    def _take_back(self, names: set[str]) -> list[str]:
        """These, and all that have used what they made, are as if they had never begun."""
        pending = list(names)
        while pending:
            gone = pending.pop()
            for other, used in self._used.items():
                if other not in names and gone in used.values():
                    names.add(other)
                    pending.append(other)
        for name in names:
            self._made.pop(name, None)
            self._used.pop(name, None)
            self._running.discard(name)
        return [name for name in self.steps if name in names]

    def _may_begin(self, name: str) -> bool:
        if name in self._made or name in self._running:
            return False
        node = self._nodes[name]
        if any(source in self.steps and source not in self._made for source in self._ordering[name]):
            return False
        if name in self._draws and self._random_before(name) not in {"", *self._made}:
            return False
        for read in node.reads:
            maker = self._maker(read, node.cell)
            if maker is None or maker == PREAMBLE:
                continue
            if maker not in self._made:
                return False
            # What shares an object with it goes with it, if it is still the same then: that must be known.
            together = self._made[maker].references[read]["names"]
            if any(self._maker(other, node.cell) not in {None, PREAMBLE, *self._made} for other in together):
                return False
        return True

    def _maker(self, name: str, cell: int) -> str | None:
        """Who has made, or will make, the value of a name before a cell; None when nobody has it."""
        for other, maker in reversed(self._makers.get(name, ())):
            if other >= cell:
                continue
            if maker == PREAMBLE or maker not in self._made:
                return maker
            made = self._made[maker]
            if name in made.references:
                return maker
            if name in made.deleted:
                return None
        return None

    def _note_random(self, name: str) -> None:
        self._draws.add(name)

    def _random_before(self, name: str) -> str:
        """The step that used the random state last before this one; "" for none."""
        cell = self._nodes[name].cell
        earlier = [(self._nodes[other].cell, other) for other in self._draws if self._nodes[other].cell < cell]
        return max(earlier)[1] if earlier else ""


def _ordering(graph: Graph, steps: Mapping[str, PipelineStep]) -> dict[str, Sequence[str]]:
    """What a step comes after for another reason than values."""
    found: dict[str, list[str]] = {name: [] for name in steps}
    for edge in graph.pipeline.edges:
        if edge.target in found and edge.why != "values":
            found[edge.target].append(edge.source)
    return dict(found)
