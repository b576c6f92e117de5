"""A backend's own process as its parent, the engine, sees it: started, watched, ended."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from typing import Any

from cellyard.worker.link import send_blocking
from cellyard.worker.processes import ending

__all__ = ["HostProcess"]

_POLL = 0.005


class HostProcess:
    """One process and our end of the link to it, which whoever opens it as a link closes."""

    def __init__(self, popen: subprocess.Popen[bytes], sock: socket.socket) -> None:
        self._popen = popen
        self.sock = sock

    @classmethod
    def spawn(cls, module: str, config: dict[str, Any]) -> HostProcess:
        """Start ``python -m MODULE FD PARENT``; returns after a few milliseconds, long before it can run steps.

        Call it on a thread that lives as long as this process: the operating system counts the end of that
        thread as the death of the parent.
        """
        ours, theirs = socket.socketpair()
        with theirs:
            # -P: a file in the working directory must not stand in for a module of Python or Dask.
            command = [sys.executable, "-P", "-m", module]
            popen = subprocess.Popen(
                [*command, str(theirs.fileno()), str(os.getpid())],
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=2,  # the engine's log; nobody reads standard output
                # Ctrl-C in the engine's terminal is for the engine, which drains and then ends this process.
                start_new_session=True,
            )
        send_blocking(ours, ["config", config])
        return cls(popen, ours)

    @property
    def pid(self) -> int:
        return self._popen.pid

    async def ended(self, within: float) -> str:
        """How the process ended, in words. One that has not ended in that many seconds is killed."""
        deadline = asyncio.get_running_loop().time() + within
        while self._popen.poll() is None and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(_POLL)
        return self.kill()

    def kill(self) -> str:
        """End the process now, if it has not ended, and say how it ended."""
        if self._popen.poll() is None:
            self._popen.send_signal(signal.SIGKILL)
        return ending(self._popen.wait())
