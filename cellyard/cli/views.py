"""Views of a run's progress, for a terminal and for a log."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.text import Text

from cellyard.cli.progress import Progress
from cellyard.cli.tables import state_text, steps_table

__all__ = ["View", "make_view"]

Json = Mapping[str, Any]


class View:
    """What a person sees of a progress, on standard output."""

    def __init__(self, progress: Progress, console: Console) -> None:
        self.progress = progress
        self._console = console
        self._said = 0
        self._lock = threading.Lock()

    def say(self, text: str) -> None:
        """Show a sentence."""
        self.progress.say(text)
        self.refresh()

    def refresh(self) -> None:
        """Show what is new."""
        with self._lock:
            for line in self.progress.lines[self._said :]:
                self._said += 1
                self._console.print(line, markup=False, highlight=False)

    def summary(self, steps: Sequence[Json], *, output: str) -> None:
        """What it came to: the steps, what went wrong, and where to look next."""
        self.refresh()
        progress, console = self.progress, self._console
        if progress.traceback:
            console.print(Text.from_ansi(progress.traceback.rstrip()))
        console.print()
        if steps:
            console.print(steps_table(steps))
            console.print()
        line = Text(f"run {progress.run} of {progress.path.name}: ")
        line.append_text(state_text(progress.state)).append(f"   {progress.headline()}")
        console.print(line)
        console.print(f"  executed notebook      {output}", highlight=False, soft_wrap=True)
        console.print(f"  its steps and outputs  cellyard show {progress.run}", highlight=False)
        console.print(f"  what they printed      cellyard logs {progress.run} [STEP]", highlight=False, markup=False)
        console.print(f"  their values           cellyard.History().run({progress.run})", highlight=False)


class LiveView(View):
    """The same on a terminal: a table that changes in place."""

    def refresh(self) -> None:
        """The table is drawn anew by itself."""

    def __rich__(self) -> RenderableType:
        parts: list[RenderableType] = [Text(line) for line in self.progress.lines if not line.startswith("step ")]
        parts.append(Text(self.progress.headline(), style="bold"))
        steps = self.progress.steps()
        return Group(*parts, steps_table(steps)) if steps else Group(*parts)


@contextlib.contextmanager
def make_view(progress: Progress) -> Iterator[View]:
    """The view that suits standard output: a live table on a terminal, lines otherwise."""
    console = Console(file=sys.stdout)
    if not console.is_terminal:
        yield View(progress, console)
        return
    view = LiveView(progress, console)
    with Live(view, console=console, refresh_per_second=8, transient=True):
        yield view
