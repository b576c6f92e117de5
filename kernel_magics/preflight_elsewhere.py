"""What is known before a step runs on another machine: what the notebook's earlier steps there have met. Pure but for
:func:`versions_of`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cellyard.errors import VersionMismatch, error_from_dict

__all__ = ["Told", "told_by", "versions_of"]

_NAMED = 5


@dataclass(slots=True)
class Told:
    """Sentences: what would keep a step from running there, and what its user may want to know."""

    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def versions_of(modules: Iterable[str]) -> dict[str, str]:
    """The versions of the distributions here that give these modules; nothing of the standard library and of local
    modules."""
    from cellyard.environment.inventory import inventory_here

    here = inventory_here()
    names = {name for module in modules for name in here.providing(module.partition(".")[0])}
    return {name: here.distributions[name].version for name in sorted(names)}


def told_by(earlier: Sequence[Mapping[str, Any]], step: Mapping[str, Any], versions: Mapping[str, str]) -> Told:
    """What the newest of the ``earlier`` steps that came to such workers tells of this one, which needs these
    ``versions``. ``earlier`` are records of steps, ``step`` has its options."""
    there = [each for each in earlier if _place(each) == _place(step) and each.get("worker")]
    there.sort(key=lambda each: float(each.get("created") or 0.0))
    if not there:
        return Told(
            warnings=[
                "no step of this notebook has been on such a worker: the first one compares the versions there with "
                "these, and installs what the image lacks"
            ]
        )
    newest = there[-1]
    if differing := list(_differing(newest.get("error"))):
        return Told(problems=[f"when step {newest['name']!r} came there, {'; '.join(differing)}"])
    known: dict[str, str] = {}
    for each in there:
        known |= each.get("packages") or {}
    found = list(_new(versions, known))
    shown = [*found[:_NAMED], *([f"and {len(found) - _NAMED} more"] if len(found) > _NAMED else [])]
    return Told(
        warnings=[f"new to such workers: {', '.join(shown)}; installed where the image lacks it"] if shown else []
    )


def _place(step: Mapping[str, Any]) -> tuple[str, str]:
    options = step.get("options") or {}
    return str(options.get("backend") or ""), str(options.get("image") or "")


def _differing(error: Mapping[str, Any] | None) -> Iterator[str]:
    """What a refused step met, line by line."""
    from cellyard.environment.versions import differing

    found = error_from_dict(error["cellyard"]) if error and error.get("cellyard") else None
    table = str(found.fields.get("table", "")) if isinstance(found, VersionMismatch) else ""
    for row in differing(table):
        yield f"{row.name} was {row.worker} there and {row.kernel} here"


def _new(versions: Mapping[str, str], known: Mapping[str, str]) -> Iterator[str]:
    for name, version in versions.items():
        if name not in known:
            yield f"{name} {version}"
        elif known[name] != version:
            yield f"{name} {version} (it was {known[name]})"
