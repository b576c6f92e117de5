"""Which notebook and kernel this is."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """``notebook``: its path, or the kernel's session where no path is known; ``session``: this kernel;
    ``run``: the run of the whole notebook that started this kernel, if one did."""

    notebook: str
    session: str
    run: int | None = None

    @classmethod
    def of(cls, shell: Any, environment: Mapping[str, str] | None = None) -> Identity:
        """Read from what the runner, Jupyter or VS Code have left for the kernel."""
        env = os.environ if environment is None else environment
        session = f"kernel-{uuid.uuid4().hex[:12]}"
        named = (
            env.get("CELLYARD_NOTEBOOK") or env.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or ""
        )
        run = env.get("CELLYARD_RUN")
        return cls(str(Path(named).absolute()) if named else session, session, int(run) if run else None)

    def at(self, notebook: str) -> Identity:
        """The same kernel, with the notebook's path as the user gave it."""
        return replace(self, notebook=str(Path(notebook).expanduser().absolute()))
