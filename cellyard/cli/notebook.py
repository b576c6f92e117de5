"""``cellyard run NOTEBOOK``: the file from top to bottom, all its cells, in a real kernel, as one run."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets.config import Config

from cellyard.cli.progress import Progress, make_view
from cellyard.errors import CellyardError, StoreError, UsageError
from cellyard.model import TERMINAL
from cellyard.origin import origin_of
from cellyard.service.client import EngineClient

__all__ = ["run"]

_LAST_EVENTS = 5.0
_STOPS_WITHIN = 45.0


def run(arguments: argparse.Namespace) -> int:
    """Run the notebook and write what became of it, also after a failure; 0, or 1 when a cell or step failed."""
    path: Path = arguments.notebook.absolute()
    notebook = _read(path)
    output = arguments.output or str(path.with_name(f"{path.stem}.executed.ipynb"))
    progress = Progress(path, notebook)
    client = EngineClient()
    try:
        with make_view(progress) as view:
            client = EngineClient(notify=view.say)
            client.ensure()
            labels = {"name": arguments.name, "tags": arguments.tag}
            origin = origin_of(path, compare=True).to_dict()
            progress.run = client.create_run(notebook=str(path), **labels, **origin)["id"]
            execution = _Execution(notebook, progress, client.settings.runtime, view.refresh, arguments.on)
            with _following(client, progress, view.refresh, execution.stop):
                try:
                    execution.carry_out()
                finally:
                    _write(notebook, output)
                    _finish(client, progress)
        view.summary(client.steps(progress.run), output=output)
    finally:
        if arguments.stop_engine:
            client.stop(drain=False, timeout=_STOPS_WITHIN)
        client.close()
    return {"succeeded": 0, "cancelled": 130 if progress.interrupted else 1}.get(progress.state, 1)


class _Execution:
    """One notebook in one kernel."""

    def __init__(
        self, notebook: Any, progress: Progress, runtime: Path, refresh: Callable[[], None], backend: str | None
    ) -> None:
        self._runtime = runtime
        self._backend = backend
        self._notebook = notebook
        self._path = progress.path
        self._progress = progress
        self._refresh = refresh
        self._stopping = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._kernel: Any = None
        self._tasks: set[asyncio.Future[Any]] = set()

    def carry_out(self) -> None:
        """Run all cells; the progress says how it ended. Raises UsageError when there is no such kernel."""
        try:
            asyncio.run(self._carry_out())
        except NoSuchKernel as error:
            raise UsageError(f"{self._path.name} wants the kernel {error.name!r}, which is not here") from error

    def stop(self) -> None:
        """Interrupt the cell that runs, and run no other. From any thread."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(self._stop)

    async def _carry_out(self) -> None:
        executing = NotebookClient(
            self._notebook,
            timeout=None,
            coalesce_streams=True,
            kernel_name=self._notebook.metadata.get("kernelspec", {}).get("name", "python3"),
            resources={"metadata": {"path": str(self._path.parent)}},
            config=_kernel_config(self._runtime),
        )
        environment = os.environ | {
            "CELLYARD_RUN": str(self._progress.run),
            "CELLYARD_NOTEBOOK": str(self._path),
        }
        if self._backend is not None:
            environment["CELLYARD_ON"] = self._backend
        async with executing.async_setup_kernel(env=environment):
            self._loop, self._kernel = asyncio.get_running_loop(), executing.km
            # In place of nbclient's own handlers, which would kill the kernel and leave no trace of why.
            for number in (signal.SIGINT, signal.SIGTERM):
                self._loop.add_signal_handler(number, self._on_signal)
            await self._run_cells(executing)

    async def _run_cells(self, executing: NotebookClient) -> None:
        for index, cell in enumerate(self._notebook.cells):
            if self._stopping or self._progress.state != "running":
                break
            if cell.cell_type == "code" and cell.source.strip():
                await self._run_cell(executing, cell, index)
        self._progress.ended(stopped=self._stopping)
        self._refresh()

    async def _run_cell(self, executing: NotebookClient, cell: Any, index: int) -> None:
        self._progress.cell_started(index)
        self._refresh()
        try:
            await executing.async_execute_cell(cell, index)
        except CellExecutionError as error:
            self._progress.failed(index, error.ename, error.evalue, error.traceback)
        except DeadKernelError:
            self._progress.failed(index, "DeadKernel", "the kernel died", f"the kernel died in cell {index + 1}")
        else:
            self._progress.cell_done(index)

    def _on_signal(self) -> None:
        self._progress.interrupted = True
        self._stop()

    def _stop(self) -> None:
        """A second time, the kernel is killed."""
        ending = self._kernel.shutdown_kernel(now=True) if self._stopping else self._kernel.interrupt_kernel()
        self._stopping = True
        self._tasks.add(asyncio.ensure_future(ending))


def _kernel_config(runtime: Path) -> Config:
    """The kernel's sockets in our own folder, instead of TCP ports that every user of the machine can reach."""
    config = Config()
    config.KernelManager.transport = "ipc"
    config.KernelManager.ip = str(runtime / f"kernel-{os.getpid()}")
    return config


@contextlib.contextmanager
def _following(
    client: EngineClient, progress: Progress, refresh: Callable[[], None], stop: Callable[[], None]
) -> Iterator[None]:
    """Show the steps' events as they come, to the run's last one; stop when it was cancelled from elsewhere."""
    events = client.events(run=progress.run, follow=True)

    def follow() -> None:
        try:
            for event in events:
                progress.event(event)
                refresh()
                if event["step_id"] is None and event["content"].get("state") == "cancelled":
                    stop()
        except CellyardError as error:
            progress.say(str(error))

    thread = threading.Thread(target=follow, name="cellyard-events", daemon=True)
    thread.start()
    try:
        yield
        thread.join(timeout=_LAST_EVENTS)
    finally:
        events.close()
        thread.join(timeout=_LAST_EVENTS)


def _finish(client: EngineClient, progress: Progress) -> None:
    """Tell the engine how the run ended, unless it already knows better (cancelled)."""
    found = client.run(progress.run)
    if found["state"] in TERMINAL:
        progress.state = found["state"]
        return
    if progress.state in ("running", "cancelled"):
        # "running": it ended by an error of ours, in the middle.
        progress.state = "cancelled"
        client.cancel_run(progress.run)
    else:
        client.finish_run(progress.run, state=progress.state, error=progress.error)


def _read(path: Path) -> Any:
    if not path.is_file():
        raise UsageError(f"there is no notebook {path}")
    try:
        return nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    except (nbformat.reader.NotJSONError, nbformat.ValidationError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not a notebook: {error}") from error


def _write(notebook: Any, output: str) -> None:
    """Write the executed notebook whole, or not at all: to a file, or to a URL that fsspec knows."""
    if "://" in output:
        _upload(notebook, output)
        return
    path = Path(output)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        nbformat.write(notebook, unfinished)  # type: ignore[no-untyped-call]
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _upload(notebook: Any, url: str) -> None:
    import fsspec

    content = nbformat.writes(notebook).encode()  # type: ignore[no-untyped-call]
    try:
        system, path = fsspec.url_to_fs(url)  # type: ignore[no-untyped-call]
        system.pipe_file(path, content)
    except (OSError, ValueError, ImportError) as error:
        raise StoreError(f"the executed notebook could not be written to {url}: {error}") from error
