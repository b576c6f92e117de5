"""The lists of dependencies are true: what is used is declared, and what is declared is used."""

from __future__ import annotations

import re
import tomllib
from importlib.metadata import packages_distributions

from tests.house.source_tree import ROOT, dotted, imports, modules, room_of, third_party

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
WORKER = {"errors", "settings", "machine", "model", "analysis", "artifacts", "environment", "worker", "logged"}
"""The rooms that run where only the base dependencies are installed."""
EXTRAS = ("engine", "kernel", "lab", "kubernetes")
"""The lists of what our own modules import, the base apart."""
UNSEEN = {
    "dask-kubernetes": "the operator, in the worker image, and its definitions",
    "dask": "distributed is its scheduler; both must be of one version",
    "matplotlib-inline": "the backend of figures, named in an environment variable",
    "fsspec": "stores beyond a folder",
    "httptools": "uvicorn's parser",
    "tzdata": "time zones of schedules, where the system has none",
    "uv": "installs what workers lack, where these cannot; called as a program",
    "uvloop": "uvicorn's event loop",
    "ipykernel": "the kernel itself",
    "jupyterlab": "the program that the labextension is part of",
    "notebook": "the other program that it is part of: Notebook 7",
}
"""Needed without an import of ours, and why."""
# Imported only where a value of theirs is at hand, so they are there already; traitlets and starlette come
# with IPython and FastAPI, whose public faces they are. A store on S3 brings what it needs: the extra of its name.
BROUGHT = {
    "aiobotocore",
    "s3fs",
    "zstandard",
    "numpy",
    "pandas",
    "pyarrow",
    "matplotlib",
    "traitlets",
    "starlette",
    "pydantic",
    "zmq",
    "tlz",
    "sklearn",
    "torch",
}


def normal(name: str) -> str:
    """A distribution's name as registries compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(extra: str | None = None) -> set[str]:
    """The distributions of one list, without those of the extras that it includes."""
    lines = PROJECT["dependencies"] if extra is None else PROJECT["optional-dependencies"][extra]
    names = {re.split(r"[^A-Za-z0-9._-]", line, maxsplit=1)[0] for line in lines}
    return {normal(name) for name in names} - {"cellyard"}


def undeclared(rooms: set[str] | None, lists: set[str]) -> list[str]:
    known = packages_distributions()
    return [
        f"{found.place} imports {found.module}"
        for path in modules()
        if rooms is None or room_of(dotted(path)) in rooms
        for found in third_party(path)
        if found.module not in BROUGHT
        and not {normal(name) for name in known.get(found.module, [found.module])} & lists
    ]


def test_a_worker_needs_only_the_base():
    assert undeclared(WORKER, declared()) == []


def test_everything_imported_is_declared():
    assert undeclared(None, declared().union(*map(declared, EXTRAS))) == []


def test_everything_declared_is_used():
    known = packages_distributions()
    used = {
        normal(name)
        for path in modules()
        for one in imports(path)
        for name in known.get(one.module.partition(".")[0], [])
    }
    asked = declared().union(*map(declared, EXTRAS))
    assert asked - used - set(UNSEEN) == set()
