"""``cellyard run BUNDLE``: as a notebook's run, with a shell of this process in place of a kernel. No Jupyter."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any

from cellyard.cli.conducting import Conductor
from cellyard.cli.executed import CellOutputs, Executed
from cellyard.cli.kernel_calls import answered, question
from cellyard.cli.notebook import NotebookRun, check_plan, finish, following
from cellyard.cli.progress import Progress
from cellyard.errors import StoreError, UsageError
from cellyard.exporters.bundle_reading import Block, Bundle, BundleStep, read_bundle
from cellyard.model import format_duration
from cellyard.notebook.parameters import TAG, parameter_values, parse_assignments
from cellyard.origin import origin_of
from cellyard.service.client import EngineClient

__all__ = ["run_bundle"]

_STOPS_WITHIN = 45.0
Json = dict[str, Any]


def run_bundle(arguments: argparse.Namespace) -> int:
    """Run all steps, as one run; 0, or 1 when a step failed, or 130 after Ctrl-C."""
    if arguments.start:
        raise UsageError("--from: of a bundle every step runs, or with --only some and what they need")
    bundle = read_bundle(arguments.notebook.absolute())
    given = parse_assignments(arguments.parameters)
    values = parameter_values(bundle.parameters, given)
    client = EngineClient(notify=lambda text: print(text, file=sys.stderr))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        client.ensure()
        only, on, jobs = tuple(arguments.only), arguments.on, arguments.jobs
        wanted = NotebookRun(bundle.folder, given, only, backend=on, priority=arguments.priority, jobs=jobs)
        work = _Work(client, wanted, bundle)
        work.run = _open(client, bundle, values, arguments)
        print(f"run {work.run} of {bundle.name}, {len(bundle.steps)} steps", file=sys.stderr)
        progress = _carry_out(bundle, work)
        if arguments.output:
            _write(client.report(work.run), arguments.output)
        took = client.run(work.run)["seconds"] or 0.0
        print(f"run {work.run} {progress.state} after {format_duration(round(took, 1))}", file=sys.stderr)
    finally:
        if arguments.stop_engine:
            client.stop(drain=False, timeout=_STOPS_WITHIN)
        client.close()
    return {"succeeded": 0, "cancelled": 130}.get(progress.state, 1)


def _open(client: EngineClient, bundle: Bundle, values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    shown = {each.name: each.default for each in bundle.parameters} | dict(values)
    origin = origin_of(bundle.folder / "pipeline.yaml").to_dict()
    labels = {"name": arguments.name or bundle.name, "tags": arguments.tag, "parameters": _plain(shown)}
    return int(client.create_run(notebook=str(bundle.folder), **labels, **origin)["id"])


class _Work:
    """The bundle as what a conductor carries out: its blocks and steps as the cells of a notebook. Everything runs;
    only of a step that says --cache an earlier result is taken."""

    def __init__(self, client: EngineClient, wanted: NotebookRun, bundle: Bundle) -> None:
        self.client = client
        self.wanted = wanted
        self.run = 0
        self.taken: dict[str, Json] = {}
        cells = [_cell(each) for each in bundle.ordered()]
        self.executed = _Printed({"nbformat": 4, "metadata": {}, "cells": cells}, range(len(cells)))
        path = bundle.files / "pipeline.ipynb"  # what is beside it counts
        question = {**wanted.question(), "path": str(path), "notebook": self.executed.content, "force": True}
        self.planned: Json = client.plan(**question, details=True)
        check_plan(self.planned, bundle.folder)
        steps = self.planned["pipeline"]["steps"]
        self.planned["reusable"] = [each["name"] for each in steps if each["options"]["cache"]]
        chosen = {each["name"] for each in self.planned["steps"]}
        self.names: dict[int, str] = {each["cell"]: each["name"] for each in steps if each["name"] in chosen}


def _cell(each: Block | BundleStep) -> Json:
    if isinstance(each, BundleStep):
        return {"cell_type": "code", "source": each.cell, "metadata": {}}
    return {"cell_type": "code", "source": each.source, "metadata": {"tags": [TAG] if each.sets_parameters else []}}


class _Printed(Executed):
    """Its cells' outputs are printed when they come."""

    def outputs(self, index: int) -> _PrintedOutputs:
        return _PrintedOutputs(super().outputs(index).outputs, self.numbers.get(index))


class _PrintedOutputs(CellOutputs):
    def show(self, message: Mapping[str, Any]) -> None:
        kind = message["type"]
        if kind == "stream":
            stream = sys.stderr if message["name"] == "stderr" else sys.stdout
            stream.write(message["text"])
            stream.flush()
        elif kind in {"display_data", "execute_result"} and "text/plain" in message["data"]:
            print(message["data"]["text/plain"], flush=True)
        elif kind == "error":
            print("\n".join(message["traceback"]), flush=True)

    def fail(self, error: Mapping[str, Any]) -> None:
        super().fail(error)
        print("\n".join(self.outputs[-1]["traceback"]), flush=True)


class _Progress(Progress):
    """Says which step begins."""

    def __init__(self, bundle: Bundle, work: _Work) -> None:
        super().__init__(bundle.folder, {index: cell["source"] for index, cell in enumerate(work.executed.cells)})
        self.run = work.run
        self._names = work.names
        self._count = 0
        self._said = 0

    def cell_started(self, index: int) -> None:
        super().cell_started(index)
        if index in self._names:
            self._count += 1
            print(f"step {self._count} of {len(self._names)}: {self._names[index]}", file=sys.stderr)

    def refresh(self) -> None:
        """Print what is new."""
        for line in self.lines[self._said :]:
            self._said += 1
            print(line, file=sys.stderr)


def _carry_out(bundle: Bundle, work: _Work) -> Progress:
    """Run everything, and tell the engine how it ended."""
    os.environ |= {"CELLYARD_RUN": str(work.run), "CELLYARD_NOTEBOOK": str(bundle.folder)}
    if work.wanted.backend is not None:
        os.environ["CELLYARD_ON"] = work.wanted.backend
    progress = _Progress(bundle, work)
    conductor = Conductor(work, _ShellPlace(bundle, work.executed), progress, progress.refresh)
    with following(work.client, progress, progress.refresh, conductor):
        try:
            conductor.carry_out()
        finally:
            finish(work.client, progress)
    return progress


class _ShellPlace:
    """IPython's own shell in this process; see :class:`~cellyard.cli.conducting.Place`."""

    def __init__(self, bundle: Bundle, executed: Executed) -> None:
        self._bundle = bundle
        self._executed = executed
        self._shell: Any = None

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The magics are loaded, and the folder of files is the current one."""
        with _shell(self._bundle) as self._shell:
            yield

    async def call(self, method: str, *given: Any, **named: Any) -> Any:
        """What the driver's method answers. Raises CellyardError."""
        # By name: the command line knows no face.
        driving = importlib.import_module("kernel_magics.driving")
        return answered(driving.answer(self._shell, method, question(given, named)))

    async def run_cell(self, cell: int) -> tuple[str, str, str] | None:
        """Run a block; the shell shows how it has failed."""
        source, shell = self._executed.cells[cell]["source"], self._shell
        before = signal.signal(signal.SIGINT, signal.default_int_handler)  # the loop's would wait for its end
        try:
            python = shell.transform_cell(source)
            if shell.should_run_async(source, transformed_cell=python):
                result = await shell.run_cell_async(source, store_history=True, transformed_cell=python)
            else:
                result = shell.run_cell(source, store_history=True)
        finally:
            signal.signal(signal.SIGINT, before)
        error = result.error_before_exec or result.error_in_exec
        return None if error is None else (type(error).__name__, str(error), "")

    async def interrupt(self, *, by_force: bool) -> None:
        """Nothing: a block that runs has been interrupted by the signal itself."""


@contextlib.contextmanager
def _shell(bundle: Bundle) -> Iterator[Any]:
    """IPython's own shell without a terminal, in the bundle's folder of files, with the magics loaded."""
    # Before pyplot is imported: figures are kept as images, for which there is no window here.
    os.environ.setdefault("MPLBACKEND", "module://matplotlib_inline.backend_inline")
    from IPython.core.interactiveshell import InteractiveShell
    from traitlets.config import Config

    class BundleShell(InteractiveShell):
        """Without windows, and so without an event loop for them: %matplotlib inline asks for none."""

        def enable_gui(self, gui: str | None = None) -> None:
            """Nothing is needed."""

    config = Config()
    config.HistoryManager.enabled = False
    bundle.files.mkdir(exist_ok=True)
    before = Path.cwd()
    os.chdir(bundle.files)
    sys.path.insert(0, str(bundle.files))
    shell: Any = BundleShell.instance(config=config, colors="nocolor")
    try:
        # By name: the command line knows no face.
        shell.extension_manager.load_extension("kernel_magics")
        yield shell
        shell.extension_manager.unload_extension("kernel_magics")
    finally:
        os.chdir(before)


def _write(page: str, output: str) -> None:
    """The run's report, to a file or to a URL that fsspec knows."""
    import fsspec

    system, path = fsspec.url_to_fs(output)  # type: ignore[no-untyped-call]
    try:
        system.pipe_file(path, page.encode())
    except (OSError, ValueError) as error:
        raise StoreError(f"the report could not be written to {output}: {error}") from error


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    """As runs record parameters: JSON's own kinds, and texts of everything else."""
    return {
        key: value if isinstance(value, str | int | float | bool | None) else repr(value)
        for key, value in values.items()
    }


def _interrupt(_number: int, _frame: Any) -> None:
    raise KeyboardInterrupt
