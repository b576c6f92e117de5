"""What must agree between the kernel and a worker: facts of each, a comparison, a refusal with the table. Pure but for
:func:`versions_here`.

Python's minor version, because cells and pickles hold its bytecode; cellyard, dask, distributed and cloudpickle to
the letter, because they talk to each other across processes.
"""

from __future__ import annotations

import functools
import platform
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from cellyard import __version__
from cellyard.errors import VersionMismatch
from cellyard.tables import aligned

__all__ = ["ALWAYS", "Row", "Versions", "check_versions", "compare", "differing", "series", "versions_here"]

#: Distributions that must be of the very same version on both sides.
ALWAYS = ("cellyard", "cloudpickle", "dask", "distributed")
_MISSING = "not there"
_DIFFERS = "<- differs"


@dataclass(frozen=True, slots=True)
class Versions:
    """One side: ``python`` is its full version, ``packages`` maps distributions to theirs."""

    python: str
    packages: Mapping[str, str] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """The facts as JSON."""
        return {"python": self.python, "packages": dict(self.packages)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Versions:
        """The facts that :meth:`to_dict` wrote."""
        return cls(str(data["python"]), dict(data["packages"]))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the comparison."""

    name: str
    kernel: str
    worker: str
    agrees: bool


@functools.lru_cache(maxsize=1)
def versions_here() -> Versions:
    """The facts of this process. Read once: what is loaded stays what it is."""
    from importlib.metadata import version

    others = {name: version(name) for name in ALWAYS if name != "cellyard"}
    return Versions(platform.python_version(), {"cellyard": __version__, **others})


def series(version: str) -> tuple[str, ...]:
    """The release series of a version: ``2.3.1`` belongs to ``2.3``."""
    public = version.partition("!")[2] or version
    return tuple(public.partition("+")[0].split(".")[:2])


def compare(kernel: Versions, worker: Versions, *, also: Iterable[str] = ()) -> tuple[Row, ...]:
    """Every line that counts, Python first. ``also`` names further distributions, of which the series must agree."""
    rows = [Row("python", kernel.python, worker.python, series(kernel.python) == series(worker.python))]
    for name in ALWAYS:
        rows.append(_row(name, kernel, worker, exact=True))
    for name in sorted(set(also) - set(ALWAYS)):
        rows.append(_row(name, kernel, worker, exact=False))
    return tuple(rows)


def _row(name: str, kernel: Versions, worker: Versions, *, exact: bool) -> Row:
    ours, theirs = kernel.packages.get(name), worker.packages.get(name)
    if ours is None or theirs is None:
        agrees = ours is None and theirs is None
    else:
        agrees = ours == theirs if exact else series(ours) == series(theirs)
    return Row(name, ours or _MISSING, theirs or _MISSING, agrees)


def check_versions(kernel: Versions, worker: Versions, *, step: str = "", image: str = "") -> None:
    """Raise VersionMismatch, with every line that counts and what to do, unless all of them agree."""
    rows = compare(kernel, worker)
    if not all(row.agrees for row in rows):
        raise VersionMismatch(step=step, table=as_table(rows), hint=_what_to_do(rows, image))


def as_table(rows: Iterable[Row]) -> str:
    """The lines in columns, those that differ marked."""
    lines = [("", "this notebook", "the worker", "")]
    lines += [(row.name, row.kernel, row.worker, "" if row.agrees else _DIFFERS) for row in rows]
    return "\n".join(f"  {line}" for line in aligned(lines))


def differing(table: str) -> Iterator[Row]:
    """The rows that are marked in what :func:`as_table` made: of a refusal that was recorded, nothing else is left."""
    for line in table.splitlines():
        if line.rstrip().endswith(_DIFFERS):
            name, kernel, worker = (each.strip() for each in line.replace(_DIFFERS, "").split("  ") if each.strip())
            yield Row(name, kernel, worker, agrees=False)


def _what_to_do(rows: Iterable[Row], image: str) -> str:
    wrong = {row.name: row for row in rows if not row.agrees}
    named = f" {image}" if image else ""
    python = wrong.pop("python", None)
    if python is not None:
        wanted = ".".join(series(python.kernel))
        return (
            f"Use an image with Python {wanted} instead of{named or ' this one'} "
            f"(built with --build-arg PYTHON=python:{wanted}-slim; --image or the setting kubernetes.image names it), "
            f"or a kernel with Python {'.'.join(series(python.worker))}."
        )
    there = " ".join(f"{row.name}=={row.kernel}" for row in wrong.values() if row.kernel != _MISSING)
    here = " ".join(f"{row.name}=={row.worker}" for row in wrong.values() if row.worker != _MISSING)
    options = [f"build the image{named} anew with {there}"] if there else []
    options += [f"install {here} where the kernel is, and restart it"] if here else []
    return f"Either {', or '.join(options)}."
