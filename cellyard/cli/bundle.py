"""``cellyard run BUNDLE``: the setup in an IPython shell of this process, each step by its magic. No Jupyter."""

from __future__ import annotations

import argparse
import contextlib
import os
import signal
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from cellyard.errors import CellyardError, StoreError, UsageError
from cellyard.exporters.bundle_reading import Block, Bundle, read_bundle
from cellyard.model import format_duration
from cellyard.notebook.parameters import parameter_values, parse_assignments
from cellyard.origin import origin_of
from cellyard.service.client import EngineClient

__all__ = ["run_bundle"]

_STOPS_WITHIN = 45.0


class _Failed(Exception):
    """A cell failed; the shell has shown how."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(str(error))
        self.error = error


def run_bundle(arguments: argparse.Namespace) -> int:
    """Run all steps, as one run; 0, or 1 when a step failed, or 130 after Ctrl-C."""
    bundle = read_bundle(arguments.notebook.absolute())
    values = parameter_values(bundle.parameters, parse_assignments(arguments.parameters))
    client = EngineClient(notify=lambda text: print(text, file=sys.stderr))
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        client.ensure()
        run = _open(client, bundle, values, arguments)
        print(f"run {run} of {bundle.name}, {len(bundle.steps)} steps", file=sys.stderr)
        state, error = _carry_out(bundle, run, values, arguments.on)
        _finish(client, run, state, error)
        if arguments.output:
            _write(client.report(run), arguments.output)
        took = client.run(run)["seconds"] or 0.0
        print(f"run {run} {state} after {format_duration(round(took, 1))}", file=sys.stderr)
    finally:
        if arguments.stop_engine:
            client.stop(drain=False, timeout=_STOPS_WITHIN)
        client.close()
    return {"succeeded": 0, "cancelled": 130}.get(state, 1)


def _open(client: EngineClient, bundle: Bundle, values: Mapping[str, Any], arguments: argparse.Namespace) -> int:
    shown = {each.name: each.default for each in bundle.parameters} | dict(values)
    origin = origin_of(bundle.folder / "pipeline.yaml").to_dict()
    labels = {"name": arguments.name or bundle.name, "tags": arguments.tag, "parameters": _plain(shown)}
    return int(client.create_run(notebook=str(bundle.folder), **labels, **origin)["id"])


def _carry_out(
    bundle: Bundle, run: int, values: Mapping[str, Any], backend: str | None
) -> tuple[str, dict[str, Any] | None]:
    """The state in which the run ends, and its error."""
    os.environ |= {"CELLYARD_RUN": str(run), "CELLYARD_NOTEBOOK": str(bundle.folder)}
    if backend is not None:
        os.environ["CELLYARD_ON"] = backend
    try:
        with _shell(bundle) as shell:
            number = 0
            for each in bundle.ordered():
                if isinstance(each, Block):
                    _execute(shell, each.source)
                    if each.sets_parameters:
                        shell.push(dict(values))
                    continue
                number += 1
                print(f"step {number} of {len(bundle.steps)}: {each.name}", file=sys.stderr)
                _execute(shell, each.cell)
    except _Failed as failed:
        if isinstance(failed.error, KeyboardInterrupt):
            return "cancelled", None
        return "failed", {"type": type(failed.error).__name__, "message": str(failed.error)}
    except KeyboardInterrupt:
        return "cancelled", None
    return "succeeded", None


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


def _execute(shell: Any, code: str) -> None:
    result = shell.run_cell(code, store_history=True)
    error = result.error_before_exec or result.error_in_exec
    if error is not None:
        raise _Failed(error)


def _finish(client: EngineClient, run: int, state: str, error: Mapping[str, Any] | None) -> None:
    try:
        if state == "cancelled":
            client.cancel_run(run)
        else:
            client.finish_run(run, state=state, error=error)
    except CellyardError as problem:
        raise UsageError(f"run {run} was ended from elsewhere: {problem}") from problem


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
