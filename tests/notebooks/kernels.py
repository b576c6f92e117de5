"""Real kernels for tests: cells in, what a front end would have been sent out."""

from __future__ import annotations

import ast
import contextlib
import os
import re
import tempfile
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import zmq
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

__all__ = ["THREADS", "Kernel", "Ran", "kernel_at"]

THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""Has a kernel work with one thread, as a step of one CPU does: in what order torch adds up depends on their number."""

_ANSI = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class Ran:
    """One cell as a front end saw it: its outputs in order, and the kernel's reply."""

    number: int | None = None
    outputs: list[dict[str, Any]] = field(default_factory=list)
    error: dict[str, Any] | None = None
    seconds: float = 0.0

    def _texts(self, name: str) -> str:
        return "".join(o["text"] for o in self.outputs if o["type"] == "stream" and o["name"] == name)

    @property
    def stdout(self) -> str:
        return self._texts("stdout")

    @property
    def stderr(self) -> str:
        return self._texts("stderr")

    @property
    def results(self) -> list[dict[str, Any]]:
        """Its execute_result messages."""
        return [o for o in self.outputs if o["type"] == "execute_result"]

    @property
    def displays(self) -> list[dict[str, Any]]:
        """Its display_data messages."""
        return [o for o in self.outputs if o["type"] == "display_data"]

    @property
    def result(self) -> str:
        """The text of its one execute_result."""
        [only] = self.results
        return str(only["data"]["text/plain"])

    @property
    def traceback(self) -> str:
        """The traceback as shown, colours included; nothing when the cell succeeded."""
        return "\n".join(self.error["traceback"]) if self.error else ""

    @property
    def words(self) -> str:
        """The traceback without colours."""
        return _ANSI.sub("", self.traceback)


class Kernel:
    """One running ipykernel and a client of it."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self.client = client
        self.answer: Callable[[str], str] | None = None
        """Answers a cell's question; set it together with the client's ``allow_stdin``."""
        self.asked: list[tuple[str, bool]] = []
        """What was asked so far, and whether the answer was hidden."""
        self.payloads: list[dict[str, Any]] = []
        """What came with the reply to the last cell: help that is shown beside the notebook, text for the next cell."""
        self.passed_by: deque[dict[str, Any]] = deque(maxlen=200)
        """What other cells have sent while one was followed: one of before may still show something."""
        self.pid, self.folder = self.look("(__import__('os').getpid(), __import__('os').getcwd())")

    def run(self, code: str, *, timeout: float = 60.0) -> Ran:
        """Run a cell to its end; it must succeed."""
        ran = self.try_run(code, timeout=timeout)
        assert ran.error is None, ran.words
        return ran

    def fail(self, code: str, *, timeout: float = 60.0) -> Ran:
        """Run a cell that must raise."""
        ran = self.try_run(code, timeout=timeout)
        assert ran.error is not None, ran.outputs
        return ran

    def try_run(self, code: str, *, timeout: float = 60.0) -> Ran:
        """Run a cell to its end."""
        return self.finish(self.begin(code), timeout=timeout)

    def debug(self, *words: str) -> str:
        """What ``%debug`` shows to someone who types these at its prompt, and then quits."""
        waiting = iter(words)
        self.client.allow_stdin, self.answer = True, lambda prompt: next(waiting, "q")
        try:
            return _ANSI.sub("", self.run("%debug").stdout)
        finally:
            self.client.allow_stdin, self.answer = False, None

    def begin(self, code: str) -> str:
        """Send a cell; returns the id by which :meth:`finish` knows it."""
        return str(self.client.execute(code))

    def finish(self, id: str, *, timeout: float = 60.0) -> Ran:
        """Everything that a cell sent, until the kernel is idle again."""
        ran, began = Ran(), time.monotonic()
        for message in self.messages(id, timeout=timeout):
            _note(ran, message)
        ran.seconds = time.monotonic() - began
        return ran

    def messages(self, id: str, *, timeout: float = 60.0) -> Iterator[dict[str, Any]]:
        """The messages of a cell as they come; ends when the kernel is idle and has replied."""
        deadline = time.monotonic() + timeout
        while True:
            self._answer_until_output(deadline)
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") != id:
                self.passed_by.append(message)
                continue
            if message["msg_type"] == "status" and message["content"]["execution_state"] == "idle":
                break
            yield message
        while (reply := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != id:
            continue
        self.payloads = reply["content"].get("payload", [])

    def _answer_until_output(self, deadline: float) -> None:
        """Answer the cell's questions until it has sent something else."""
        if self.answer is None:
            return
        poller = zmq.Poller()
        poller.register(self.client.iopub_channel.socket, zmq.POLLIN)
        poller.register(self.client.stdin_channel.socket, zmq.POLLIN)
        while (left := deadline - time.monotonic()) > 0:
            ready = dict(poller.poll(left * 1000))
            if self.client.iopub_channel.socket in ready or not ready:
                return
            question = self.client.get_stdin_msg(timeout=1)["content"]
            self.asked.append((question["prompt"], question["password"]))
            self.client.input(self.answer(question["prompt"]))

    def until_output(self, id: str, text: str, *, timeout: float = 30.0) -> None:
        """Return when a running cell has printed the text."""
        seen = ""
        deadline = time.monotonic() + timeout
        while text not in seen:
            message = self.client.get_iopub_msg(timeout=max(0.01, deadline - time.monotonic()))
            if message["parent_header"].get("msg_id") == id and message["msg_type"] == "stream":
                seen += message["content"]["text"]

    def look(self, expression: str) -> Any:
        """The value of an expression, as the literal that its repr is. No cell runs, so nothing is fetched for it."""
        id = self.client.execute("", silent=True, user_expressions={"it": expression})
        while (reply := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != id:
            continue
        found = reply["content"]["user_expressions"]["it"]
        assert found["status"] == "ok", found
        return ast.literal_eval(found["data"]["text/plain"])

    def interrupt(self) -> None:
        """The stop button."""
        self.manager.interrupt_kernel()

    def complete(self, code: str) -> list[str]:
        """What the front end offers with the cursor at the end of the code."""
        id = self.client.complete(code)
        while (reply := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != id:
            continue
        found: list[str] = reply["content"]["matches"]
        return found

    def inspect(self, code: str) -> str:
        """What the front end shows for help on the name at the end of the code."""
        id = self.client.inspect(code)
        while (reply := self.client.get_shell_msg(timeout=60))["parent_header"].get("msg_id") != id:
            continue
        return _ANSI.sub("", reply["content"]["data"].get("text/plain", ""))


def _note(ran: Ran, message: Mapping[str, Any]) -> None:
    kind, content = message["msg_type"], message["content"]
    if kind == "execute_input":
        ran.number = content["execution_count"]
    elif kind == "error":
        ran.error = content
    elif kind in {"stream", "display_data", "execute_result", "update_display_data", "clear_output"}:
        ran.outputs.append({"type": kind, **content})


@contextlib.contextmanager
def kernel_at(env: Mapping[str, str], *, load: bool = True, folder: str | None = None) -> Iterator[Kernel]:
    """A kernel of its own in that environment, with the extension loaded; ended with the block."""
    # Not over TCP: a port that was free when it was chosen may be taken when the kernel binds it.
    with tempfile.TemporaryDirectory(prefix="cy-", ignore_cleanup_errors=True) as sockets:
        manager = KernelManager(kernel_name="python3", transport="ipc", ip=f"{sockets}/kernel")
        own = {key: value for key, value in os.environ.items() if key != "PYTEST_CURRENT_TEST"}
        # Where it finds that variable, a kernel does not show what subprocesses write.
        manager.start_kernel(env={**own, **env}, cwd=folder)
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=60)
            kernel = Kernel(manager, client)
            if load:
                kernel.run("%load_ext kernel_magics")
            yield kernel
        finally:
            client.stop_channels()
            manager.shutdown_kernel(now=True)
