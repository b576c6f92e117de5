"""The live view of a step: what it does now, in one line and a bar, under its cell.

A display that is updated in place. It is plain text and HTML that needs nothing else on the page, as it also is in the
saved notebook; while the step runs it is a widget as well, with a button that stops the step, where the kernel has
widgets. Front ends show what they can.
"""

from __future__ import annotations

import html
import time
import uuid
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from cellyard.model.prices import Prices
from cellyard.model.resources import Resources, format_duration, format_memory
from kernel_magics.live_output import LiveOutput

if TYPE_CHECKING:
    from kernel_magics.stop_button import StopButton

__all__ = ["LiveView"]

_EVERY = 0.5
_NOTE = "note: "
_LINES = 3
_COLOURS = {"succeeded": "#2e7d32", "failed": "#c62828", "lost": "#c62828", "cancelled": "#8d6e00"}


class LiveView:
    """One step. Shows nothing before ``after`` seconds have passed, and nothing at all of a step that ends sooner."""

    def __init__(
        self, output: LiveOutput, *, after: float, prices: Prices, stop: Callable[[], None], hint: str
    ) -> None:
        self._output = output
        self._prices = prices
        self._stop = stop
        self._hint = hint
        self._id = f"cellyard-{uuid.uuid4().hex}"
        self._accepted = time.time()
        self._due = time.monotonic() + after
        self._shown = False
        self._button: StopButton | None = None
        self._name, self._run, self._attempt = "", 0, 1
        self._state, self._waits, self._began = "queued", "", 0.0
        self._resources = Resources()
        self._now, self._peak = 0, 0
        self._spent = 0.0
        self._glance: Mapping[str, Any] | None = None
        self._finished: Mapping[str, Any] | None = None

    def note(self, event: Mapping[str, Any]) -> None:
        """Something has happened to the step."""
        kind, content = event["kind"], event["content"]
        if kind == "accepted":
            self._name, self._run, self._accepted = event["step"], event["run"], event["time"]
            self._resources = Resources.from_dict(content["resources"])
            self._waits = content.get("waits_for", "")
        elif kind == "state":
            if "ended" in content:
                self._begin_again(event["time"], content)
            self._state, self._attempt = content["state"], event["attempt"] or 1
            self._began = event["time"] if self._state == "running" else 0.0
            self._waits = "" if self._state == "running" else self._waits
        elif kind == "waiting":
            self._waits = content["waits_for"]
        elif kind == "memory":
            self._now, self._peak = content["bytes"], content["peak"]
        elif kind == "glance":
            self._glance = content
        elif kind == "output" and self._state == "queued":
            text = str(content.get("text", ""))
            self._waits = text.removeprefix(_NOTE).strip() if text.startswith(_NOTE) else self._waits
        elif kind == "finished":
            self._finished, self._state = content, content["state"]
            self._peak = content.get("peak_memory") or self._peak

    def _begin_again(self, now: float, content: Mapping[str, Any]) -> None:
        """An attempt has ended, and there is another one, which may have another size."""
        if self._began:
            peak = content["ended"].get("peak_memory")
            self._spent += self._prices.cost(self._resources, now - self._began, peak=peak)
        self._now, self._peak = 0, 0
        if "resources" in content:
            self._resources = Resources.from_dict(content["resources"])

    def tick(self) -> None:
        """Show how it is now, if it is time for that."""
        if self._finished is None and time.monotonic() >= self._due:
            self._due = time.monotonic() + _EVERY
            self._show()

    def end(self) -> None:
        """The step is over: what is shown says how, and stays."""
        if self._shown:
            self._show()

    def _show(self) -> None:
        data: dict[str, Any] = {"text/plain": self._words(), "text/html": self._html()}
        if not self._shown and self._finished is None:
            self._button = _button(self._stop)
        if self._button is not None and self._finished is None:
            self._button.show(data["text/html"])
            data.update(self._button.bundle)
        kind = "update_display_data" if self._shown else "display_data"
        self._shown = True
        transient = {"display_id": self._id}
        self._output.show({"type": kind, "data": data, "metadata": {}, "transient": transient})
        if self._button is not None and self._finished is not None:
            self._button.close()

    # -- what it says

    def _words(self) -> str:
        parts = [self._state_words(), self._time_words(), self._memory_words(), self._cost_words()]
        return f"{self._name} (run {self._run}): " + ", ".join(filter(None, parts))

    def _state_words(self) -> str:
        again = f" (attempt {self._attempt})" if self._attempt > 1 else ""
        if self._state == "queued":
            return f"queued{again}" + (f", waits for {self._waits}" if self._waits else "")
        return f"{self._state}{again}"

    def _time_words(self) -> str:
        if self._finished is not None:
            return format_duration(self._finished.get("seconds") or 0.0)
        return format_duration(max(0.0, time.time() - (self._began or self._accepted)))

    def _memory_words(self) -> str:
        limit = f" of {format_memory(self._resources.memory)}" if self._resources.memory else ""
        if self._finished is not None:
            return f"at most {format_memory(self._peak)}{limit}" if self._peak else ""
        return f"{format_memory(self._now)}{limit}" if self._now else ""

    def _cost_words(self) -> str:
        if self._finished is None or not self._prices:
            return ""
        seconds = self._finished.get("seconds") or 0.0
        return self._prices.words(self._spent + self._prices.cost(self._resources, seconds, peak=self._peak))

    def _html(self) -> str:
        colour = _COLOURS.get(self._state, "#1565c0")
        head = html.escape(self._words())
        dot = f'<span style="color:{colour}">&#9679;</span> '
        hint = f' <span style="opacity:.6">{html.escape(self._hint)}</span>' if self._finished is None else ""
        return f'<div style="font-family:sans-serif;font-size:90%">{dot}{head}{hint}{self._bar()}{self._newest()}</div>'

    def _bar(self) -> str:
        limit = self._resources.memory
        if not limit or not (self._now or self._peak):
            return ""
        share = (self._peak if self._finished is not None else self._now) / limit
        colour = "#c62828" if share > 0.9 else "#1565c0"
        inner = f'<div style="width:{min(100.0, share * 100):.1f}%;height:100%;background:{colour}"></div>'
        return f'<div style="width:16em;height:.4em;background:rgba(128,128,128,.3);margin:.2em 0">{inner}</div>'

    def _newest(self) -> str:
        if self._glance is None or self._finished is not None:
            return ""
        lines = "\n".join(str(self._glance["text"]).splitlines()[-_LINES:])
        return f'<pre style="opacity:.8;margin:0">{html.escape(lines)}</pre>'


def _button(stop: Callable[[], None]) -> StopButton | None:
    try:
        from kernel_magics.stop_button import StopButton
    except ImportError:  # this kernel has no widgets
        return None
    return StopButton.here(stop)
