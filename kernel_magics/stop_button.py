"""The live view as a widget: its HTML, and a button that stops the step. Imported only where something runs long."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Self

import ipywidgets
from IPython.core.getipython import get_ipython

__all__ = ["StopButton"]

_VIEW = "application/vnd.jupyter.widget-view+json"


class StopButton:
    """One widget, shown as part of a display."""

    def __init__(self, stop: Callable[[], None]) -> None:
        self._text = ipywidgets.HTML()
        self._button = ipywidgets.Button(description="Stop", icon="stop", layout=ipywidgets.Layout(width="6em"))
        self._button.on_click(lambda _: self._clicked())
        self._box = ipywidgets.HBox([self._button, self._text])
        self._stop = stop

    @classmethod
    def here(cls, stop: Callable[[], None]) -> Self | None:
        """A widget, where there is a kernel that a front end could hear from."""
        return cls(stop) if getattr(get_ipython(), "kernel", None) is not None else None

    @property
    def bundle(self) -> dict[str, Any]:
        """What makes a front end with widgets show it."""
        return {_VIEW: {"version_major": 2, "version_minor": 0, "model_id": self._box.model_id}}

    def show(self, text: str) -> None:
        """Show this."""
        self._text.value = text

    def close(self) -> None:
        """It is gone from the page with the display that showed it."""
        for each in (self._box, self._button, self._text):
            each.close()

    def _clicked(self) -> None:
        self._button.description = "Kill"
        self._stop()
