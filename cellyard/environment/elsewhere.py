"""Process state on its way to a worker that is not this machine, and back.

The listed state of a kernel (``cellyard.worker.process_state``) has three sections that mean something only where they
were made: working directory, environment and ``sys.path``. Elsewhere they travel as what the notebook has changed in
them; the worker changes its own accordingly, and what the step changes goes back in the same form. So a worker
keeps its own variables, its secrets among them, and no variable of the user's machine goes there that the notebook has
not set. Pure but for :func:`first_variables` and the look whether a folder exists.
"""

from __future__ import annotations

import functools
import os
import sysconfig
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

__all__ = ["Sojourn", "depart", "first_variables", "returned"]

State = dict[str, Any]
_NOTHING: Mapping[str, Any] = {"set": {}, "unset": ()}
_OURS = "CELLYARD_"
_INSTALLED = {"site-packages", "dist-packages"}


@functools.lru_cache(maxsize=1)
def first_variables() -> Mapping[str, str]:
    """The environment that this process was started with; where the system does not tell, that of the first call."""
    try:
        text = Path("/proc/self/environ").read_bytes()
    except OSError:
        return dict(os.environ)
    pairs = (os.fsdecode(each).partition("=") for each in text.split(b"\0") if b"=" in each)
    return {key: value for key, _, value in pairs}


def depart(state: Mapping[str, Any], first: Mapping[str, str]) -> State:
    """A kernel's state as it goes elsewhere: of the environment only what differs from ``first``, of ``sys.path`` only
    what belongs neither to Python nor to what is installed."""
    found = dict(state)
    if "environment" in found:
        found["environment"] = _difference(first, found["environment"])
    if "path" in found:
        found["path"] = [each for each in found["path"] if not _is_pythons(each)]
    return found


def _difference(before: Mapping[str, str], after: Mapping[str, str]) -> dict[str, Any]:
    """Without the settings of cellyard, which are those of one machine."""
    changed = {key: value for key, value in after.items() if before.get(key) != value and not key.startswith(_OURS)}
    return {"set": changed, "unset": sorted(key for key in before.keys() - after.keys() if not key.startswith(_OURS))}


def _is_pythons(entry: str) -> bool:
    """Whether an entry of ``sys.path`` is of Python itself, or a folder of installed packages."""
    path = PurePosixPath(entry)
    library = sysconfig.get_path("stdlib")
    own = {library, sysconfig.get_path("platstdlib"), f"{library}/lib-dynload"}
    return entry in own or entry.endswith(".zip") or not _INSTALLED.isdisjoint(path.parts)


class Sojourn:
    """One step's process state away from its kernel.

    ``own`` is the worker's state before the step, ``modules`` the folder of local modules (or nothing), ``scratch`` an
    empty folder that stands for the notebook's where that does not exist here.
    """

    def __init__(self, own: Mapping[str, Any], *, modules: str, scratch: str) -> None:
        self._own = own
        self._modules = modules
        self._scratch = scratch
        self._kernels: Mapping[str, Any] = {}
        self._settled: State = {}

    def settle(self, state: Mapping[str, Any]) -> State:
        """The state to apply here, for one that :func:`depart` made."""
        self._kernels = state
        self._settled = {**state, "path": self._path(state.get("path", ()))}
        self._settled["environment"] = self._variables(state.get("environment", _NOTHING))
        if "folder" in state:
            self._settled["folder"] = state["folder"] if _can_enter(state["folder"]) else self._scratch
        return self._settled

    def _variables(self, change: Mapping[str, Any]) -> dict[str, str]:
        """Local modules are found by processes that the step starts, too."""
        own = dict(self._own["environment"])
        if self._modules:
            own["PYTHONPATH"] = os.pathsep.join([self._modules, *filter(None, [own.get("PYTHONPATH")])])
        return _apply(own, change)

    def _path(self, kernels: Iterable[str]) -> list[str]:
        own = list(self._own["path"])
        added = [each for each in kernels if each not in own and (not each or os.path.isdir(each))]  # noqa: PTH112
        return [*([self._modules] if self._modules else []), *added, *own]

    def report(self, changes: Mapping[str, Any]) -> State:
        """What the step has changed, as it goes back: the other sections as they are, these as differences."""
        found = dict(changes)
        if "environment" in found:
            found["environment"] = _difference(self._settled["environment"], found["environment"])
        if "path" in found:
            found["path"] = _moved(self._settled["path"], found["path"])
        if "folder" in found:
            found["folder"] = self._home(found["folder"])
            if found["folder"] is None:
                del found["folder"]
        return found

    def _home(self, folder: str) -> str | None:
        """A folder here as the kernel knows it; None for one below the scratch that has no like there."""
        if self._settled.get("folder") != self._scratch:
            return folder
        try:
            inner = Path(folder).relative_to(self._scratch)
        except ValueError:
            return folder
        return str(Path(self._kernels["folder"]) / inner)


def _apply(variables: Mapping[str, str], change: Mapping[str, Any]) -> dict[str, str]:
    gone = set(change["unset"])
    return {key: value for key, value in variables.items() if key not in gone} | dict(change["set"])


def _moved(before: list[str], after: list[str]) -> dict[str, list[str]]:
    """What a list has got, in front of what it had and behind that, and what it has lost."""
    kept = [place for place, each in enumerate(after) if each in before]
    first = kept[0] if kept else 0
    new = [(place, each) for place, each in enumerate(after) if each not in before]
    return {
        "first": [each for place, each in new if place < first],
        "last": [each for place, each in new if place >= first],
        "gone": [each for each in before if each not in after],
    }


def _can_enter(folder: str) -> bool:
    # os.path: unlike a Path's, it takes a folder in one that we may not enter for one that is not there.
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)  # noqa: PTH112


def returned(changes: Mapping[str, Any], now: Mapping[str, Any]) -> State:
    """The state for the kernel to apply, of what :meth:`Sojourn.report` sent; ``now`` is the kernel's own."""
    found = dict(changes)
    if "environment" in found:
        found["environment"] = _apply(now["environment"], found["environment"])
    if "path" in found:
        moved, gone = found["path"], set(found["path"]["gone"])
        kept = [each for each in now["path"] if each not in gone or _is_pythons(each)]
        new = [each for each in moved["first"] if each not in kept]
        found["path"] = [*new, *kept, *(each for each in moved["last"] if each not in kept)]
    return found
