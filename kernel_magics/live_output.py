"""Shows a step's output messages in the cell that runs now, as if they had been made here."""

from __future__ import annotations

import binascii
import getpass
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from cellyard.worker.asking import ANSWER, NO_ANSWER, STOPPED

_FLUSH_SECONDS = 0.05
_UNTIL_SAID = 0.15
"""Seconds from an interrupt to the word that the kernel is to end, where that is what it was for."""

__all__ = ["LiveOutput", "is_ending", "send_comm"]


class LiveOutput:
    """Publishes messages through a shell's own streams, display publisher and display hook.

    Where it ``replays`` what a step once showed, nobody is asked anything, and widgets stay as they are.
    """

    def __init__(self, shell: Any, *, replays: bool = False) -> None:
        self._shell = shell
        self._flushed = 0.0
        self._later: dict[str, threading.Timer] = {}
        self._rules: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "stream": self._stream,
            "display_data": self._display,
            "update_display_data": self._display,
            "execute_result": self._result,
            "clear_output": self._clear,
            "error": self._error,
        }
        if not replays:
            self._rules |= {"input_request": self._ask, "comm": self._comm, "payload": self._pay}

    def show(self, message: Mapping[str, Any]) -> None:
        """Show one output message."""
        if (rule := self._rules.get(message["type"])) is not None:
            rule(message)

    def _stream(self, message: Mapping[str, Any]) -> None:
        stream = sys.stdout if message["name"] == "stdout" else sys.stderr
        stream.write(message["text"])
        # Left to itself the kernel sends it on after 0.2 s; flushing takes a moment, so not for each of many.
        now = time.monotonic()
        if now - self._flushed > _FLUSH_SECONDS:
            self._flushed = now
            stream.flush()
        elif (later := self._later.get(message["name"])) is None or not later.is_alive():
            later = self._later[message["name"]] = threading.Timer(_FLUSH_SECONDS, stream.flush)
            later.daemon = True
            later.start()

    def _display(self, message: Mapping[str, Any]) -> None:
        sys.stdout.flush()
        self._shell.display_pub.publish(
            message["data"],
            message["metadata"],
            transient=message.get("transient") or {},
            update=message["type"] == "update_display_data",
        )

    def _result(self, message: Mapping[str, Any]) -> None:
        sys.stdout.flush()
        hook = self._shell.displayhook
        hook.start_displayhook()
        hook.write_output_prompt()
        hook.write_format_data(message["data"], message["metadata"])
        hook.finish_displayhook()

    def error(self, name: str, value: str, traceback: list[str]) -> None:
        """An error that is not raised here."""
        self._error({"ename": name, "evalue": value, "traceback": traceback})

    def _error(self, message: Mapping[str, Any]) -> None:
        """Of a value that could not be shown; the cell has gone on."""
        kind = type(message["ename"], (Exception,), {})
        self._shell._showtraceback(kind, message["evalue"], message["traceback"])

    def _ask(self, message: Mapping[str, Any]) -> None:
        """Ask the user in the step's place, and hand on the answer."""
        with socket.socket(socket.AF_UNIX) as line:
            try:
                line.connect(message["address"])
            except OSError:  # the step no longer waits for it
                return
            try:
                answer = ANSWER + self._answer(message["prompt"], is_secret=message["password"]).encode()
            except KeyboardInterrupt:  # it ends the question, as it does in a kernel
                if is_ending(self._shell):  # the next kernel will ask again
                    raise
                answer = STOPPED
            except EOFError:
                answer = NO_ANSWER
            line.sendall(answer)

    def _answer(self, prompt: str, *, is_secret: bool) -> str:
        kernel = getattr(self._shell, "kernel", None)
        if kernel is not None:
            answer: str = kernel.getpass(prompt) if is_secret else kernel.raw_input(prompt)
            return answer
        return getpass.getpass(prompt) if is_secret else input(prompt)

    def _comm(self, message: Mapping[str, Any]) -> None:
        """A widget's message, as if its widget were here."""
        kernel = getattr(self._shell, "kernel", None)
        if kernel is not None:
            send_comm(kernel, message, kernel.get_parent())

    def _pay(self, message: Mapping[str, Any]) -> None:
        """What goes with the reply of the cell: help, or the text of the next cell."""
        self._shell.payload_manager.write_payload(message["payload"])

    def _clear(self, message: Mapping[str, Any]) -> None:
        self._shell.display_pub.clear_output(wait=message["wait"])


def is_ending(shell: Any) -> bool:
    """Whether the kernel is being restarted or shut down. Jupyter interrupts it just before it says so: the cell is to
    end, but its step goes on, and a later kernel finds it."""
    kernel = getattr(shell, "kernel", None)
    deadline = time.monotonic() + _UNTIL_SAID
    while kernel is not None and not shell.exit_now and time.monotonic() < deadline:
        time.sleep(0.005)
    return kernel is not None and bool(shell.exit_now)


def send_comm(kernel: Any, message: Mapping[str, Any], parent: Any) -> None:
    """Send a widget's message to the front end, as an answer to the request ``parent``."""
    content = message["content"]
    kernel.session.send(
        kernel.iopub_socket,
        message["message"],
        content,
        metadata=message["metadata"],
        parent=parent,
        ident=f"comm-{content['comm_id']}".encode(),
        buffers=[binascii.a2b_base64(each) for each in message["buffers"]],
    )
