"""Shows a step's output messages under the cell that began it, whatever cell runs meanwhile."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kernel_magics.live_output import LiveOutput, send_comm

__all__ = ["CellOutput", "output_of_cell"]


def output_of_cell(shell: Any, number: int) -> LiveOutput:
    """Output that goes on belonging to the cell that runs now, ``number``, when others run. Where there is no kernel,
    as in a terminal, it is simply printed."""
    kernel = getattr(shell, "kernel", None)
    return LiveOutput(shell, replays=True) if kernel is None else CellOutput(shell, kernel, number)


class CellOutput(LiveOutput):
    """Publishes by the kernel's own socket, each message as an answer to the request of its cell. From any thread."""

    def __init__(self, shell: Any, kernel: Any, number: int) -> None:
        super().__init__(shell)
        self._kernel = kernel
        self._parent = kernel.get_parent()
        self._number = number
        del self._rules["input_request"]  # nobody waits under the cell

    def show(self, message: Mapping[str, Any]) -> None:
        """Show one output message; one that this kernel cannot send does not keep others from being shown."""
        try:
            super().show(message)
        except Exception as error:  # noqa: BLE001 - of sockets, widgets, whatever the front end is made of
            self._publish("stream", {"name": "stderr", "text": f"note: an output could not be shown here: {error}\n"})

    def error(self, name: str, value: str, traceback: list[str]) -> None:
        """The step's own error, as a cell shows one."""
        self._publish("error", {"ename": name, "evalue": value, "traceback": traceback})

    def _stream(self, message: Mapping[str, Any]) -> None:
        self._publish("stream", {"name": message["name"], "text": message["text"]})

    def _display(self, message: Mapping[str, Any]) -> None:
        content = {key: message.get(key) or {} for key in ("data", "metadata", "transient")}
        self._publish(message["type"], content)

    def _result(self, message: Mapping[str, Any]) -> None:
        content = {"data": message["data"], "metadata": message["metadata"], "execution_count": self._number}
        self._publish("execute_result", content)

    def _error(self, message: Mapping[str, Any]) -> None:
        self.error(message["ename"], message["evalue"], message["traceback"])

    def _clear(self, message: Mapping[str, Any]) -> None:
        self._publish("clear_output", {"wait": message["wait"]})

    def _comm(self, message: Mapping[str, Any]) -> None:
        send_comm(self._kernel, message, self._parent)

    def _publish(self, kind: str, content: dict[str, Any]) -> None:
        kernel = self._kernel
        topic = f"kernel.{kernel.ident}.{kind}".encode()
        kernel.session.send(kernel.iopub_socket, kind, content, parent=self._parent, ident=topic)
