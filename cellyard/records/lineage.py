"""Lineage: where an artifact comes from and what became of it, along the links of steps.

What made what a step read is the newest step before it that made the same content, itself where there is one that did.
The walk is breadth first, and stops at :data:`MOST_STEPS` steps in each direction.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select

from cellyard.errors import NotFound, UsageError
from cellyard.records.schema import artifact_links, runs, steps

__all__ = ["MOST_STEPS", "Lineage", "lineage", "resolve"]

MOST_STEPS = 500

_LINKS = artifact_links
# A step whose result was taken from an earlier run has read nothing: it comes after all that have made the value.
_MAKER = (
    select(_LINKS.c.step_id)
    .join(steps, steps.c.id == _LINKS.c.step_id)
    .where(_LINKS.c.artifact == bindparam("artifact"), _LINKS.c.role == "out", _LINKS.c.step_id < bindparam("before"))
    .order_by(steps.c.reused.isnot(None), _LINKS.c.step_id.desc())
    .limit(1)
)
_USERS = (
    select(_LINKS.c.step_id)
    .where(_LINKS.c.artifact == bindparam("artifact"), _LINKS.c.role == "in")
    .distinct()
    .order_by(_LINKS.c.step_id)
    .limit(MOST_STEPS)
)
_OF_STEP = (
    select(_LINKS.c.artifact, _LINKS.c.name)
    .where(_LINKS.c.step_id == bindparam("step"), _LINKS.c.role == bindparam("role"))
    .order_by(_LINKS.c.artifact, _LINKS.c.name)
)
_NAMES = (
    select(_LINKS.c.name).where(_LINKS.c.artifact == bindparam("artifact")).distinct().order_by(_LINKS.c.name).limit(20)
)
_STEP = (
    select(steps.c.id, steps.c.run_id, steps.c.name, steps.c.state, steps.c.created, steps.c.outputs, runs.c.notebook)
    .join(runs, runs.c.id == steps.c.run_id)
    .where(steps.c.id == bindparam("step"))
)
_LAST = (1 << 31) - 1
_HASH = re.compile(r"[0-9a-z]{6,80}")
_PLACE = re.compile(r"(\d+):(?:(?P<step>[^:]+):)?(?P<name>[^:]+)")


@dataclass(slots=True)
class Lineage:
    """What was walked: steps and artifacts by id, and who made or read what: (step, "in" or "out", artifact, name)."""

    artifact: str
    names: list[str]
    steps: dict[int, dict[str, Any]] = field(default_factory=dict)
    artifacts: dict[str, dict[str, Any]] = field(default_factory=dict)
    links: dict[tuple[int, str, str, str], None] = field(default_factory=dict)
    truncated: bool = False

    def to_dict(self) -> dict[str, Any]:
        """The lineage as JSON. An artifact that no step made has ``made_by`` None: a plain cell made it."""
        keys = ("step", "role", "artifact", "name")
        return {
            "artifact": self.artifact,
            "names": self.names,
            "steps": [self.steps[key] for key in sorted(self.steps)],
            "artifacts": [self.artifacts[key] for key in sorted(self.artifacts)],
            "links": [dict(zip(keys, link, strict=True)) for link in self.links],
            "truncated": self.truncated,
        }


def resolve(connection: Connection, text: str) -> str:
    """The artifact that is meant: by its id or the beginning of it, or as RUN:NAME or RUN:STEP:NAME.

    Raises NotFound, and UsageError where several are meant.
    """
    place = _PLACE.fullmatch(text)
    if place is not None:
        return _made_in(connection, int(place[1]), place["step"], place["name"])
    if _HASH.fullmatch(text) is None:
        raise UsageError(f"{text!r} names no artifact: give (the beginning of) its id, RUN:NAME or RUN:STEP:NAME.")
    query = select(_LINKS.c.artifact).where(_LINKS.c.artifact.startswith(text, autoescape=True)).distinct().limit(4)
    found = connection.execute(query).scalars().all()
    if not found:
        raise NotFound(what=f"artifact {text}", hint="`cellyard show RUN` tells what its steps made.")
    if len(found) > 1 and text not in found:
        raise UsageError(f"several artifacts begin with {text}: {', '.join(each[:16] for each in found)}.")
    return text if text in found else found[0]


def lineage(connection: Connection, artifact: str, *, upward: bool = True, downward: bool = True) -> Lineage:
    """What led to an artifact, and what it led to."""
    names = list(connection.execute(_NAMES, {"artifact": artifact}).scalars())
    found = Lineage(artifact, names)
    _know(found, artifact, None)
    if upward:
        _walk_up(connection, found)
    if downward:
        _walk_down(connection, found)
    return found


def _walk_up(connection: Connection, found: Lineage) -> None:
    todo, seen = deque([(found.artifact, _LAST)]), {(found.artifact, _LAST)}
    while todo and not found.truncated:
        artifact, before = todo.popleft()
        maker = connection.execute(_MAKER, {"artifact": artifact, "before": before}).scalar()
        if maker is None or not _visit(connection, found, maker, MOST_STEPS):
            continue
        for each in _link(connection, found, maker, "out"):
            _know(found, each, maker)
        for each in _link(connection, found, maker, "in"):
            _know(found, each, None)
            if (each, maker) not in seen:
                seen.add((each, maker))
                todo.append((each, maker))


def _walk_down(connection: Connection, found: Lineage) -> None:
    most = len(found.steps) + MOST_STEPS
    todo, seen = deque([found.artifact]), {found.artifact}
    while todo and not found.truncated:
        artifact = todo.popleft()
        for user in connection.execute(_USERS, {"artifact": artifact}).scalars().all():
            if not _visit(connection, found, user, most):
                break
            found.links[user, "in", artifact, _name_of(connection, user, artifact)] = None
            for each in _link(connection, found, user, "out"):
                _know(found, each, user)
                if each not in seen:
                    seen.add(each)
                    todo.append(each)


def _visit(connection: Connection, found: Lineage, step_id: int, most: int) -> bool:
    if step_id not in found.steps:
        if len(found.steps) >= most:
            found.truncated = True
            return False
        row = connection.execute(_STEP, {"step": step_id}).one()
        facts = ("id", "run_id", "name", "state", "created", "notebook")
        found.steps[step_id] = {key: getattr(row, key) for key in facts}
        for reference in row.outputs or ():
            _describe(found, str(reference["id"]), reference)
    return True


def _link(connection: Connection, found: Lineage, step_id: int, role: str) -> list[str]:
    links = connection.execute(_OF_STEP, {"step": step_id, "role": role}).all()
    for artifact, name in links:
        found.links[step_id, role, artifact, name] = None
    return list(dict.fromkeys(artifact for artifact, _ in links))


def _name_of(connection: Connection, step_id: int, artifact: str) -> str:
    links = connection.execute(_OF_STEP, {"step": step_id, "role": "in"}).all()
    return next((str(name) for each, name in links if each == artifact), "")


def _know(found: Lineage, artifact: str, maker: int | None) -> None:
    known = found.artifacts.setdefault(artifact, {"id": artifact, "made_by": None, "size": None, "preview": None})
    if maker is not None:
        known["made_by"] = max(maker, known["made_by"] or 0)


def _describe(found: Lineage, artifact: str, reference: Mapping[str, Any]) -> None:
    _know(found, artifact, None)
    previews = reference.get("previews") or {}
    first = next(iter(previews.values()), None) if isinstance(previews, Mapping) else None
    found.artifacts[artifact] |= {"size": reference.get("size"), "preview": first}


def _made_in(connection: Connection, run: int, step: str | None, name: str) -> str:
    query = (
        select(_LINKS.c.artifact)
        .join(steps, steps.c.id == _LINKS.c.step_id)
        .where(steps.c.run_id == run, _LINKS.c.role == "out", _LINKS.c.name == name)
        .order_by(_LINKS.c.step_id.desc())
        .limit(1)
    )
    if step is not None:
        query = query.where(steps.c.name == step)
    found: str | None = connection.execute(query).scalar()
    if found is None:
        where = f"step {step!r} of run {run}" if step else f"run {run}"
        raise NotFound(what=f"value {name!r} made by {where}", hint=f"`cellyard show {run}` tells what its steps made.")
    return found
