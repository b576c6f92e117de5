"""What a waiting child does ahead of its step: take on the size and the plain process state of the step before.

Most steps have both in common with the one before them, and what is left for them to do is to see that. The plain
sections are those that every process has; they travel as one pickle, so that one comparison tells whether they differ.
"""

from __future__ import annotations

import base64
import os
import pickle
from collections.abc import Mapping
from typing import Any

from cellyard.worker import process_state
from cellyard.worker.process_state import Watcher
from cellyard.worker.sizing import SIZE, use_size

__all__ = ["PLAIN", "Ahead", "plain_of", "seal", "unseal"]

PLAIN = ("folder", "environment", "path", "warnings", "decimal", "logging", "recursion")
"""Not the random state: it differs from step to step."""


def seal(content: Mapping[str, Any], state: Mapping[str, Any], *, is_elsewhere: bool = False) -> str:
    """The private part of a request, with the process state of its kernel. Nothing of a state that is to be settled
    elsewhere is the same for two steps."""
    plain, state = (b"", process_state.portable(state)) if is_elsewhere else _parted(state)
    rest = pickle.dumps({**content, "state": state})
    return f"{base64.b64encode(plain).decode()}.{base64.b64encode(rest).decode()}"


def unseal(private: str) -> tuple[bytes, dict[str, Any]]:
    """The plain state, packed, and the rest of what :func:`seal` was given; of a request without one, nothing."""
    _, _, rest = private.partition(".")
    content: dict[str, Any] = pickle.loads(base64.b64decode(rest)) if rest else {}
    return plain_of(private), content


def plain_of(private: str) -> bytes:
    """The plain state in the private part of a request, packed."""
    return base64.b64decode(private.partition(".")[0])


def _parted(state: Mapping[str, Any]) -> tuple[bytes, Mapping[str, Any]]:
    """The plain sections as one pickle, and the others; all are others where one does not pickle."""
    plain = {name: state[name] for name in PLAIN if name in state}
    try:
        packed = pickle.dumps(plain) if plain else b""
    except Exception:  # noqa: BLE001 - whatever the reason, they go one by one, without those that cannot
        return b"", process_state.portable(state)
    return packed, process_state.portable({name: value for name, value in state.items() if name not in plain})


class Ahead:
    """One child's state, until its step takes it over."""

    def __init__(self) -> None:
        self.watcher = Watcher()
        #: The processors of the worker, before this process was kept to some of them.
        self.processors = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
        self._first: dict[str, Any] = {}
        self._plain = b""
        self._size: Mapping[str, Any] | None = None

    def prepare(self, plain: bytes, place: Mapping[str, Any]) -> None:
        """Be as a step with this plain state, at this place, would be."""
        self._first = self._first or process_state.capture(PLAIN)
        self._take_place(place)
        self._take_plain(plain)

    def take_over(self, plain: bytes, place: Mapping[str, Any]) -> None:
        """Be so now, whatever was prepared."""
        self._take_place(place)
        if plain != self._plain:
            self._take_plain(plain)

    def _take_place(self, place: Mapping[str, Any]) -> None:
        size = {key: place[key] for key in SIZE if key in place}
        if size != self._size:
            use_size(size)
            self._size = size

    def _take_plain(self, plain: bytes) -> None:
        """A section that was prepared, and is not there now, is again as it was at first."""
        given: dict[str, Any] = pickle.loads(plain) if plain else {}
        self.watcher.take({**(self._first if self._plain else {}), **given})
        self._plain = plain
