"""NotebookKernel: the kernel of a notebook's run, in which its cells run that are no steps."""

from __future__ import annotations

import contextlib
import os
from collections.abc import AsyncIterator, Awaitable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.kernelspec import NoSuchKernel
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets.config import Config

from cellyard.cli.kernel_calls import KernelCalls
from cellyard.errors import UsageError

if TYPE_CHECKING:
    from cellyard.cli.notebook import Work

__all__ = ["NotebookKernel"]


class NotebookKernel:
    """One kernel, from ``opened`` on; see :class:`~cellyard.cli.conducting.Place`."""

    def __init__(self, work: Work) -> None:
        self._work = work
        self._manager: Any = None
        self._executing: Any = None
        self._calls: KernelCalls

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """The kernel runs. Raises UsageError when there is none of that name."""
        executed, wanted = self._work.executed, self._work.wanted
        notebook = nbformat.from_dict(executed.content)  # type: ignore[no-untyped-call]
        executed.content, executed.cells = notebook, notebook.cells
        executing = NotebookClient(
            notebook,
            timeout=None,
            coalesce_streams=True,
            kernel_name=notebook.metadata.get("kernelspec", {}).get("name", "python3"),
            resources={"metadata": {"path": str(wanted.path.parent)}},
            config=_kernel_config(self._work.client.settings.runtime),
        )
        environment = os.environ | {"CELLYARD_RUN": str(self._work.run), "CELLYARD_NOTEBOOK": str(wanted.path)}
        if wanted.backend is not None:
            environment["CELLYARD_ON"] = wanted.backend
        try:
            async with executing.async_setup_kernel(env=environment):
                self._executing, self._manager = executing, executing.km
                self._calls = KernelCalls(executing.kc)
                yield
                await _leave(executing.km)
        except NoSuchKernel as error:
            raise UsageError(f"{wanted.path.name} wants the kernel {error.name!r}, which is not here") from error

    async def call(self, method: str, *given: Any, **named: Any) -> Any:
        """What the driver's method answers. Raises CellyardError."""
        return await self._calls.call(method, given, named)

    async def run_cell(self, cell: int) -> tuple[str, str, str] | None:
        """Run a cell, as any other client would; type, message and traceback of its failure."""
        try:
            await self._executing.async_execute_cell(self._work.executed.cells[cell], cell)
        except CellExecutionError as error:
            return error.ename, error.evalue, error.traceback
        except DeadKernelError:
            return "DeadKernel", "the kernel died", f"the kernel died in cell {cell + 1}"
        return None

    def interrupt(self, *, by_force: bool) -> Awaitable[Any]:
        """Stop the cell that runs; ``by_force`` the kernel."""
        ending: Awaitable[Any] = (
            self._manager.shutdown_kernel(now=True) if by_force else self._manager.interrupt_kernel()
        )
        return ending


async def _leave(manager: Any) -> None:
    """End an idle kernel. Its manager would interrupt it first, which it may tell as an error of a good run."""
    if await manager.is_alive():
        await manager.request_shutdown()
        await manager.finish_shutdown()


def _kernel_config(runtime: Path) -> Config:
    """The kernel's sockets in our own folder, instead of TCP ports that every user of the machine can reach."""
    config = Config()
    config.KernelManager.transport = "ipc"
    config.KernelManager.ip = str(runtime / f"kernel-{os.getpid()}")
    return config
