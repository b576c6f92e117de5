"""What a step's process answers beside what the cell has made."""

from __future__ import annotations

import base64
import pickle
from collections.abc import Mapping
from typing import Any

from cellyard.errors import CellyardError

__all__ = ["anonymous_memory_here", "recordable", "refused"]

#: Sections that may hold secrets, or mean nothing elsewhere.
_UNRECORDED = frozenset({"arguments", "environment", "path", "folder", "secrets"})


def recordable(changed: Mapping[str, Any]) -> dict[str, Any]:
    """Which sections of the process state have changed, and those of them that a later run may be given."""
    kept = {name: value for name, value in changed.items() if name not in _UNRECORDED}
    return {"sections": sorted(changed), "kept": base64.b64encode(pickle.dumps(kept)).decode() if kept else ""}


def anonymous_memory_here() -> int:
    try:
        with open("/proc/self/status", "rb", buffering=0) as status:  # noqa: PTH123
            text = status.read()
    except OSError:
        return 0
    at = text.find(b"RssAnon:")
    return int(text[at + 8 : text.index(b"kB", at)]) * 1024 if at >= 0 else 0


def refused(error: CellyardError, failed: Mapping[str, Any] | None) -> dict[str, Any]:
    """The answer of a step that failed in our own part: its inputs or its outputs. The error of a cell that had
    ``failed`` before that stays its own."""
    told = error.to_step_error(cause=str(error))
    if failed is not None:
        note = f"note: nothing that the cell made could be stored: {error}"
        told = {**failed, "traceback": [*failed["traceback"], note]}
    return {
        "state": "failed",
        "outputs": [],
        "deleted": [],
        "result": None,
        "error": told,
        "private": "",
        "anonymous_memory": 0,
        "cpu_seconds": 0.0,
    }
