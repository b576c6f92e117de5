"""Whereabouts: which notebook a kernel has, by the word of the page that shows it.

A notebook that is renamed keeps its kernel, and that has the old name in its environment to its end. So the engine
writes the new one to a file of the runtime folder, and the kernel looks there: that is one look at the file's time.
"""

from __future__ import annotations

import contextlib
import json
import uuid
from pathlib import Path

__all__ = ["Whereabouts"]

_FILE = "notebooks.json"
_MOST = 1000
"""Kernels that are remembered; those that were told of last."""


class Whereabouts:
    """The notebooks of kernels, in the runtime folder of one engine. Only the engine writes."""

    def __init__(self, runtime: Path) -> None:
        self._path = runtime / _FILE
        self._known: dict[str, str] = {}
        self._stamp: tuple[int, int] | None = None

    def notebook_of(self, kernel: str) -> str | None:
        """The notebook that the kernel has now; None where nobody has said so."""
        return self._read().get(kernel) if kernel else None

    def tell(self, kernel: str, notebook: str) -> None:
        """From now on this is the kernel's notebook. Raises OSError."""
        known = dict(self._read())
        if known.pop(kernel, None) == notebook:
            return
        known[kernel] = notebook
        unfinished = self._path.with_name(f"{_FILE}.{uuid.uuid4().hex[:12]}")
        unfinished.write_text(json.dumps(dict(list(known.items())[-_MOST:])), encoding="utf-8")
        unfinished.replace(self._path)

    def _read(self) -> dict[str, str]:
        with contextlib.suppress(FileNotFoundError):
            found = self._path.stat()
            stamp = (found.st_mtime_ns, found.st_ino)
            if stamp != self._stamp:
                self._known, self._stamp = json.loads(self._path.read_text(encoding="utf-8")), stamp
        return self._known
