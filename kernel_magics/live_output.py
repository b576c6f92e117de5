"""Shows a step's output messages in the cell that runs now, as if they had been made here."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["LiveOutput"]


class LiveOutput:
    """Publishes messages through a shell's own streams, display publisher and display hook."""

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._rules: dict[str, Callable[[Mapping[str, Any]], None]] = {
            "stream": self._stream,
            "display_data": self._display,
            "update_display_data": self._display,
            "execute_result": self._result,
            "clear_output": self._clear,
            "error": self._error,
        }

    def show(self, message: Mapping[str, Any]) -> None:
        """Show one output message."""
        self._rules[message["type"]](message)

    def _stream(self, message: Mapping[str, Any]) -> None:
        stream = sys.stdout if message["name"] == "stdout" else sys.stderr
        stream.write(message["text"])  # the kernel sends it on within 0.2 s, as it does for its own cells

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

    def _error(self, message: Mapping[str, Any]) -> None:
        """Of a value that could not be shown; the cell has gone on."""
        kind = type(message["ename"], (Exception,), {})
        self._shell._showtraceback(kind, message["evalue"], message["traceback"])

    def _clear(self, message: Mapping[str, Any]) -> None:
        self._shell.display_pub.clear_output(wait=message["wait"])
