"""Which notebook and kernel this is."""

from __future__ import annotations

import os
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cellyard.errors import UsageError
from cellyard.model.moving import session_of_kernel
from cellyard.model.step_line import StepLine
from cellyard.whereabouts import Whereabouts

__all__ = ["Identity"]


@dataclass(frozen=True, slots=True)
class Identity:
    """``notebook``: its path, or the kernel's session where no path is known; ``session``: this kernel;
    ``run``: the run of the whole notebook that started this kernel, if one did; ``backend``: where it said that steps
    run which do not say; ``kernel``: Jupyter's id of the kernel, which its next life has, too."""

    notebook: str
    session: str
    run: int | None = None
    backend: str | None = None
    kernel: str = ""

    @property
    def is_named(self) -> bool:
        """Whether the notebook is known, so that it can be found again by a later kernel."""
        return self.notebook != self.session

    def file(self) -> Path:
        """Where the notebook was last saved. Raises UsageError where that is not known."""
        path = Path(self.notebook)
        if not path.is_file():
            raise UsageError(f"the notebook's file is not known ({path}): say %steps notebook PATH first.")
        return path

    @classmethod
    def of(cls, shell: Any, environment: Mapping[str, str] | None = None) -> Identity:
        """Read from what the runner, Jupyter or VS Code have left for the kernel."""
        env = os.environ if environment is None else environment
        kernel = _kernel_of(shell)
        session = f"{session_of_kernel(kernel) if kernel else 'kernel-'}{uuid.uuid4().hex[:12]}"
        named = (
            env.get("CELLYARD_NOTEBOOK") or env.get("JPY_SESSION_NAME") or shell.user_ns.get("__vsc_ipynb_file__") or ""
        )
        run = env.get("CELLYARD_RUN")
        notebook = str(Path(named).absolute()) if named else session
        return cls(notebook, session, int(run) if run else None, env.get("CELLYARD_ON") or None, kernel)

    def placed(self, options: StepLine) -> StepLine:
        """The options, with the place that holds for the whole run where they name none."""
        return options if options.backend or not self.backend else replace(options, backend=self.backend)

    def at(self, notebook: str) -> Identity:
        """The same kernel, with the notebook's path as the user gave it: no page is asked any more."""
        return replace(self, notebook=str(Path(notebook).expanduser().absolute()), kernel="")

    def now(self, whereabouts: Whereabouts) -> Identity:
        """The same kernel, with the path that its notebook has now."""
        notebook = whereabouts.notebook_of(self.kernel) or self.notebook
        return self if notebook == self.notebook else replace(self, notebook=notebook)


def _kernel_of(shell: Any) -> str:
    """Jupyter's id of the kernel, which names the file that it was started with; empty where there is none."""
    app = getattr(getattr(shell, "kernel", None), "parent", None)
    name = Path(getattr(app, "connection_file", "")).stem
    return name.removeprefix("kernel-") if name.startswith("kernel-") else ""
