"""Moving: a notebook has another path than before, and what belongs to it follows. Pure."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Moving", "session_of_kernel"]


def session_of_kernel(kernel: str) -> str:
    """How the sessions of all lives of a kernel begin."""
    return f"kernel-{kernel}-"


@dataclass(frozen=True, slots=True)
class Moving:
    """``notebook`` is the path from now on. Of what had the path ``before`` (a file, or a folder that holds it), and of
    what ``kernel`` has run: that kernel still has in its environment what its notebook was called at its start."""

    notebook: str
    before: str = ""
    kernel: str = ""

    def path_of(self, notebook: str, session: str) -> str:
        """The path that something has from now on, by the one that it had and by its session."""
        if self.kernel and session.startswith(session_of_kernel(self.kernel)):
            return self.notebook
        if self.before and (notebook == self.before or notebook.startswith(f"{self.before}/")):
            return self.notebook + notebook.removeprefix(self.before)
        return notebook
