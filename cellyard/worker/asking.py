"""``input()`` and ``getpass()`` of a step, answered where a kernel waits for it.

The question goes the way of all output; the answer, which may be a password, comes straight from the kernel over a
Unix socket that only this user may reach, and is written down nowhere.
"""

from __future__ import annotations

import builtins
import getpass
import socket
import tempfile
import warnings
from pathlib import Path

from cellyard.worker.outputs import Channel

__all__ = ["ANSWER", "NO_ANSWER", "STOPPED", "Asking"]

#: What an answer begins with: an empty one is an answer, too.
ANSWER = b"="
#: What is said when the user has stopped the cell instead.
STOPPED = b"!"
#: What is said where the input has ended.
NO_ANSWER = b"-"
#: Seconds after which nobody is taken to be there who could ask the user.
PATIENCE = 30.0
#: Seconds for which a kernel is waited for that takes the place of one that went away while it asked.
UNTIL_THE_NEXT = 24 * 3600.0
_LONGEST_PATH = 100


class Asking:
    """Takes the place of ``input`` and ``getpass.getpass``. ``reason`` says why nobody can be asked, if so."""

    def __init__(self, channel: Channel, reason: str = "") -> None:
        self._channel = channel
        self._reason = reason

    def install(self) -> None:
        """From now on the process's questions are asked here."""
        builtins.input = self.input
        getpass.getpass = self.getpass

    def input(self, prompt: object = "", /) -> str:
        """A line from the user. Raises StdinNotImplementedError where there is nobody to ask."""
        return self._ask(str(prompt), is_secret=False)

    def getpass(self, prompt: str = "", stream: object = None, *, echo_char: str | None = None) -> str:
        """A line that is not shown while it is typed."""
        if stream is not None:
            text = "The `stream` parameter of `getpass.getpass` will have no effect when using ipykernel"
            warnings.warn(text, UserWarning, stacklevel=2)
        return self._ask(prompt, is_secret=True)

    def _ask(self, prompt: str, *, is_secret: bool) -> str:
        if self._reason:
            raise _nobody(self._reason)
        with tempfile.TemporaryDirectory(prefix="cy-", dir=_folder()) as folder, socket.socket(socket.AF_UNIX) as door:
            address = str(Path(folder) / "answer")
            door.bind(address)
            door.listen(1)
            door.settimeout(PATIENCE)
            self._channel.show({"type": "input_request", "prompt": prompt, "password": is_secret, "address": address})
            answer = b""
            while not answer:
                answer = _heard(door)
                # The kernel that asked was restarted or killed: the next one that follows the step asks again.
                door.settimeout(UNTIL_THE_NEXT)
        if answer == STOPPED:
            raise KeyboardInterrupt
        if not answer.startswith(ANSWER):
            raise EOFError("the notebook gave no answer")
        return answer.removeprefix(ANSWER).decode()


def _heard(door: socket.socket) -> bytes:
    """What the next caller says; nothing, where it goes away without a word."""
    try:
        caller, _ = door.accept()
    except TimeoutError:
        raise _nobody(f"no kernel answered within {door.gettimeout():g} s") from None
    with caller:
        caller.settimeout(None)
        try:
            return b"".join(iter(lambda: caller.recv(1 << 16), b""))
        except ConnectionError:
            return b""


def _folder() -> str | None:
    """The usual place for temporary files, unless a socket's path could be too long there."""
    usual = tempfile.gettempdir()
    return None if len(usual) < _LONGEST_PATH - 30 else "/tmp"


def _nobody(reason: str) -> Exception:
    from IPython.core.error import StdinNotImplementedError

    return StdinNotImplementedError(f"a step asked for input, but {reason}")
