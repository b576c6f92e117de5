"""Proving: the bundle runs in an environment made from its lock, in a fresh process, from an empty store; then every
value is compared with that of the notebook's own run, and the verdict is written into the bundle."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cellyard.artifacts import load, open_store
from cellyard.environment.installer import find_uv, uv_environment
from cellyard.environment.inventory import inventory_here
from cellyard.errors import UsageError
from cellyard.exporters.bundle_reading import Bundle
from cellyard.exporters.likeness import TOLERANCE, likeness
from cellyard.records import RunFilter, StepRecord, open_records
from cellyard.settings import Settings, load_settings

__all__ = ["Comparison", "Proof", "prove", "write_proof"]

_DEADLINE = 24 * 3600.0
_ENDS_WITHIN = 60.0
_OF_STEPS = re.compile(r"step .+: ")
_KEPT = ("HOME", "PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SSL_CERT_FILE", "XDG_RUNTIME_DIR")


@dataclass(frozen=True, slots=True)
class Comparison:
    """One value of one step. ``verdict``: identical (the same bytes), equal, close, different or missing."""

    step: str
    role: str
    name: str
    verdict: str
    detail: str = ""

    @property
    def holds(self) -> bool:
        return self.verdict in ("identical", "equal", "close")

    def to_dict(self) -> dict[str, str]:
        """The comparison as JSON."""
        return {key: getattr(self, key) for key in ("step", "role", "name", "verdict", "detail")}


@dataclass(frozen=True, slots=True)
class Proof:
    """``environment``: "new" (made from the lock) or "present"; ``problem`` why there was nothing to compare."""

    environment: str
    comparisons: tuple[Comparison, ...] = ()
    problem: str = ""
    took: float = 0.0
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def holds(self) -> bool:
        """Whether every value was compared, and is the same."""
        return not self.problem and bool(self.comparisons) and all(each.holds for each in self.comparisons)

    def to_dict(self) -> dict[str, Any]:
        """The proof as JSON."""
        return {
            "holds": self.holds,
            "environment": self.environment,
            "tolerance": TOLERANCE,
            "took": round(self.took, 1),
            "problem": self.problem,
            **self.facts,
            "comparisons": [each.to_dict() for each in self.comparisons],
        }


def prove(
    bundle: Bundle,
    notebook: Path,
    *,
    environment: str = "new",
    parameters: Mapping[str, str] | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> Proof:
    """Run both and compare. ``parameters`` are the notebook's where the bundle was given others; ``tell`` hears how far
    it has come. Raises UsageError when it cannot be tried; a bundle that fails is told by the proof."""
    if environment == "new" and not bundle.lock.is_file():
        raise UsageError("without a lock there is no environment to be made: leave --no-lock out.")
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="cy-prove-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        python = sys.executable
        if environment == "new":
            tell("proving: an environment is made from the lock")
            python = _make_environment(bundle, folder / "venv")
        ours, theirs = _settings(folder / "n"), _settings(folder / "b")
        facts: dict[str, Any] = {"python": _version(python)}
        tell("proving: the notebook runs, from empty")
        given = [f"--parameter={name}={value}" for name, value in (parameters or {}).items()]
        words = [str(notebook), "--output", str(folder / "executed.ipynb"), *given]
        problem = _run(sys.executable, words, ours, _Telling(tell, "stdout"))
        if problem:
            return Proof(environment, problem=f"the notebook's own run failed: {problem}", facts=facts)
        copy = folder / "bundle"
        shutil.copytree(bundle.folder, copy)
        tell("proving: the bundle runs, from empty")
        problem = _run(python, [str(copy)], theirs, _Telling(tell, "stderr"))
        if problem:
            return Proof(environment, problem=f"the bundle's run failed: {problem}", facts=facts)
        tell("proving: every value is compared")
        with _importable(copy / "files"):
            found = tuple(_compared(ours, theirs))
    return Proof(environment, found, took=time.monotonic() - began, facts=facts)


def write_proof(proof: Proof, folder: Path) -> None:
    """proof.json and proof.md in the bundle."""
    for name, text in (("proof.json", json.dumps(proof.to_dict(), indent=1) + "\n"), ("proof.md", _page(proof))):
        unfinished = folder / f".{name}.unfinished"
        unfinished.write_text(text, encoding="utf-8")
        unfinished.replace(folder / name)


def _make_environment(bundle: Bundle, target: Path) -> str:
    """A new environment with what the lock says and cellyard itself; its interpreter."""
    uv = find_uv(("the bundle's environment",))
    python = str(target / "bin" / "python")
    _uv([uv, "venv", "--python", sys.executable, str(target)])
    _uv([uv, "pip", "install", "--python", python, "--require-hashes", "-r", str(bundle.lock)])
    if "cellyard" not in {line.partition('"')[2].rstrip('"\n') for line in _names(bundle.lock)}:
        _uv([uv, "pip", "install", "--python", python, "--no-deps", _ourselves()])
    return python


def _names(lock: Path) -> list[str]:
    return [line for line in lock.read_text(encoding="utf-8").splitlines() if line.startswith("name = ")]


def _ourselves() -> str:
    """This cellyard, as it was installed here: from a registry, or from a folder."""
    ours = inventory_here().distributions["cellyard"]
    url = ours.direct_url
    if url is None:
        return f"cellyard=={ours.version}"
    return str(url["url"]).removeprefix("file://")


def _uv(command: list[str]) -> None:
    # The cache of uv is of use here: most of what is wanted was installed once before.
    env = {key: value for key, value in uv_environment().items() if key != "UV_NO_CACHE"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=_DEADLINE, check=False)
    if done.returncode:
        raise UsageError(f"the bundle's environment cannot be made: {done.stderr.strip()[-2000:]}")


def _settings(home: Path) -> Settings:
    home.mkdir()
    kept = {name: value for name, value in os.environ.items() if name in ("CELLYARD_CPU", "CELLYARD_MEMORY")}
    return load_settings({**kept, "CELLYARD_HOME": str(home)})


class _Telling:
    """What a run says: all of it passes by, the end is kept, and the lines about steps on one stream are told."""

    def __init__(self, tell: Callable[[str], None], told: str) -> None:
        self._tell = tell
        self._told = told
        self._kept = {name: deque[str](maxlen=100) for name in ("stdout", "stderr")}

    def read(self, name: str, stream: Iterable[str]) -> None:
        for line in stream:
            self._kept[name].append(line)
            if name == self._told and _OF_STEPS.match(line):
                self._tell(f"  {line.rstrip()}")

    def end(self) -> str:
        """The end of what it said. The traceback of a failed step is among what it printed."""
        said = ["".join(self._kept[name]).strip()[-2000:] for name in ("stdout", "stderr")]
        return "\n".join(filter(None, said)) or "without a word"


def _run(python: str, words: list[str], settings: Settings, telling: _Telling) -> str:
    """Run it in a process that has little from this one; the end of what it said, when it failed."""
    env = {name: os.environ[name] for name in _KEPT if name in os.environ}
    process = subprocess.Popen(
        [python, "-P", "-m", "cellyard", "run", *words, "--stop-engine"],
        env=env | settings.to_env(),
        cwd=settings.runtime.parent if settings.runtime.parent.is_dir() else None,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    with process:
        streams = {"stdout": process.stdout, "stderr": process.stderr}
        readers = [threading.Thread(target=telling.read, args=item, daemon=True) for item in streams.items()]
        for each in readers:
            each.start()
        try:
            process.wait(timeout=_DEADLINE)
        finally:
            _end(process)
        for each in readers:
            each.join(timeout=_ENDS_WITHIN)
    return "" if process.returncode == 0 else telling.end()


def _end(process: subprocess.Popen[str]) -> None:
    """It runs no more after the call; the engine that it started has had its time to end with it."""
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(timeout=_ENDS_WITHIN)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _compared(ours: Settings, theirs: Settings) -> Iterator[Comparison]:
    """Every value that a step of the notebook's run has read or made, beside that of the bundle's."""
    first, second = _steps(ours), _steps(theirs)
    for name, step in first.items():
        other = second.get(name)
        if other is None:
            yield Comparison(name, "step", "", "missing", "the bundle has no such step")
            continue
        for role in ("reads", "makes"):
            yield from _values(role, (step, ours), (other, theirs))


def _steps(settings: Settings) -> dict[str, StepRecord]:
    with open_records(settings.records) as records:
        [run] = records.runs(1, RunFilter(state="succeeded"))
        return {step.name: step for step in records.steps(run.id)}


def _values(role: str, *both: tuple[StepRecord, Settings]) -> Iterator[Comparison]:
    ours, theirs = (_references(step, role) for step, _ in both)
    for name in sorted(ours):
        step = both[0][0].name
        if name not in theirs:
            yield Comparison(step, role, name, "missing", "the bundle's step has no such value")
        elif ours[name]["id"] == theirs[name]["id"]:
            yield Comparison(step, role, name, "identical")
        else:
            yield _looked_at(
                step, role, name, [(refs[name], at[1]) for refs, at in zip((ours, theirs), both, strict=True)]
            )


def _looked_at(step: str, role: str, name: str, found: list[tuple[Mapping[str, Any], Settings]]) -> Comparison:
    try:
        first, second = (load(open_store(settings.store_address), ref, {})[name] for ref, settings in found)
    except Exception as error:  # noqa: BLE001 - loading a value runs code of anybody's
        return Comparison(step, role, name, "missing", f"it cannot be read: {type(error).__name__}: {error}")
    alike = likeness(first, second)
    detail = alike.where if alike.kind == "different" else f"by {alike.largest:.2g}" if alike.largest else ""
    return Comparison(step, role, name, alike.kind, detail)


def _references(step: StepRecord, role: str) -> dict[str, Mapping[str, Any]]:
    """By name; what is no name of the notebook's (earlier results, a class's own state) is left out."""
    references = step.inputs if role == "reads" else step.outputs
    return {
        name: ref for ref in references for name in ref["names"] if name.isidentifier() and not name.startswith("_")
    }


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Local modules, of which values may be, can be imported."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))


def _version(python: str) -> str:
    command = [python, "-c", "import platform; print(platform.python_version())"]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout.strip()


def _page(proof: Proof) -> str:
    how = "an environment made anew from the lock" if proof.environment == "new" else "the environment of the export"
    head = (
        "The bundle gives the notebook's values." if proof.holds else "The bundle does NOT give the notebook's values."
    )
    lines = [
        "# Proof",
        "",
        f"**{head}**",
        "",
        f"It was run in a fresh process, from an empty store, in {how}, and every value that a step has",
        f"read or made was compared with that of the notebook's own run (numbers to within {TOLERANCE:g}).",
        "",
    ]
    if proof.problem:
        return "\n".join([*lines, "```", proof.problem, "```", ""])
    rows = [f"| {c.step} | {c.role} | `{c.name}` | {c.verdict} | {_cell(c.detail)} |" for c in proof.comparisons]
    return "\n".join([*lines, "| step | | value | verdict | |", "| --- | --- | --- | --- | --- |", *rows, ""])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")[:300]
