"""What benchmarks run their cells in: a real kernel, and a home of their own for store, records and engine."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_client.manager import KernelManager

__all__ = ["Kernel", "home"]

# Where it is set, every process would compile every module anew; users have compiled files.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)


class Kernel:
    """A real kernel that runs one cell at a time, seen as a front end sees it."""

    def __init__(self) -> None:
        self._manager = KernelManager(kernel_name="python3")
        self._manager.start_kernel()
        self._client = self._manager.client()
        self._client.start_channels()
        self._client.wait_for_ready(timeout=60)

    def run(self, source: str) -> float:
        """Seconds from sending the cell to its reply; raises when the cell failed."""
        began = time.perf_counter()
        reply = self._reply(self._client.execute(source))
        took = time.perf_counter() - began
        if reply["status"] != "ok":
            raise RuntimeError("\n".join(reply["traceback"]))
        return took

    def value(self, expression: str) -> str:
        """The repr of an expression in the kernel."""
        reply = self._reply(self._client.execute("", user_expressions={"v": expression}))
        return str(reply["user_expressions"]["v"]["data"]["text/plain"])

    def messages(self, source: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """What the cell sends until the kernel is idle, kind and content; raises when the cell failed otherwise than
        by an interrupt."""
        id = self._client.execute(source)
        while True:
            message = self._client.get_iopub_msg(timeout=120)
            if message["parent_header"].get("msg_id") != id:
                continue
            kind, content = message["msg_type"], message["content"]
            if kind == "status" and content["execution_state"] == "idle":
                break
            if kind == "error" and content["ename"] != "KeyboardInterrupt":
                raise RuntimeError("\n".join(content["traceback"]))
            yield kind, content
        self._reply(id)

    def interrupt(self) -> None:
        """Press the stop button."""
        self._manager.interrupt_kernel()

    def close(self) -> None:
        self._client.stop_channels()
        self._manager.shutdown_kernel(now=True)

    def _reply(self, id: str) -> dict[str, Any]:
        while True:
            reply = self._client.get_shell_msg(timeout=120)
            if reply["parent_header"].get("msg_id") == id:
                content: dict[str, Any] = reply["content"]
                return content


@contextmanager
def home(within: Path | None = None) -> Iterator[Path]:
    """A store, records and engine of this run's own, in a new folder."""
    with tempfile.TemporaryDirectory(prefix="cy-", dir=within, ignore_cleanup_errors=True) as folder:
        os.environ["CELLYARD_HOME"] = folder
        try:
            yield Path(folder)
        finally:
            subprocess.run([sys.executable, "-m", "cellyard", "engine", "stop"], check=False, capture_output=True)
