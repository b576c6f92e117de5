"""What a run says of itself: ``cellyard.log_metric``, ``log_param`` and ``log_figure``.

They work in a step and in the plain cells of a notebook that has loaded the extension. Where the entries go is said by
whoever runs the code (:func:`use`): the process of a step, or the kernel.
"""

from __future__ import annotations

import base64
import io
import math
import time
from collections.abc import Callable, Mapping
from typing import Any

from cellyard.errors import UsageError

__all__ = ["log_figure", "log_metric", "log_param", "use"]

Entry = dict[str, Any]
_LONGEST_NAME = 200
_LONGEST_TEXT = 10_000
_LARGEST_FIGURE = 16 << 20
_sink: Callable[[Entry], None] | None = None


def use(sink: Callable[[Entry], None] | None) -> None:
    """From now on entries go there; None: nowhere, and logging is refused."""
    global _sink  # noqa: PLW0603 - one process is one step, or one kernel
    _sink = sink


def log_metric(name: str, value: float, *, at: float | None = None) -> None:
    """The run has this value of a metric; ``at`` is where on its curve (an epoch, say). The last one is what runs are
    looked for and compared by. Raises UsageError for what is no number, and where nobody keeps it."""
    position = None if at is None else _number("at", at)
    if isinstance(position, str):
        raise UsageError(f"log_metric({name!r}): `at` is {position}, which is no place on a curve.")
    _log({"what": "metric", "name": name, "value": _number(name, value), "at": position, "time": time.time()})


def log_param(name: str, value: Any) -> None:
    """The run has this parameter: a text, a number, a truth value or None; of anything else its text is kept."""
    kept = value
    if isinstance(value, int | float) and not isinstance(value, bool):
        kept = _number(name, value)
    elif value is not None and not isinstance(value, str | bool):
        kept = _number(name, value) if _is_number_like(value) else str(value)
    if isinstance(kept, str):
        kept = kept[:_LONGEST_TEXT]
    _log({"what": "parameter", "name": name, "value": kept})


def log_figure(name: str, figure: Any) -> None:
    """The run has this picture: a matplotlib figure or axes, or anything that a notebook would show as an image."""
    data = _bundle(figure)
    if data is None:
        kind = type(figure).__name__
        raise UsageError(f"log_figure({name!r}): {kind} is no figure. It needs savefig, _repr_png_ or _repr_svg_.")
    size = sum(map(len, data.values()))
    if size > _LARGEST_FIGURE:
        raise UsageError(f"log_figure({name!r}): {size >> 20} MiB are too much for a figure (at most 16 MiB).")
    _log({"what": "figure", "name": name, "data": data, "time": time.time()})


def _log(entry: Entry) -> None:
    name = entry["name"]
    if not isinstance(name, str) or not name.strip() or len(name) > _LONGEST_NAME:
        raise UsageError(f"{name!r} is no name: a text of at most {_LONGEST_NAME} characters is needed.")
    if _sink is None:
        raise UsageError("there is no run to log to: it works in a step, and in a notebook after %load_ext cellyard.")
    _sink(entry)


def _is_number_like(value: Any) -> bool:
    """A number of numpy, or an array or tensor of one value."""
    return hasattr(value, "item") and getattr(value, "size", 1) in (1, None) and hasattr(value, "__float__")


def _number(name: str, value: Any) -> float | str:
    """A finite number, or the word for one that is not: JSON and SQL have no way to write it."""
    try:
        plain = value.item() if _is_number_like(value) else value
        is_exact = isinstance(plain, int) and not isinstance(plain, bool) and abs(plain) < 1 << 53
        found = plain if is_exact else float(plain)
    except (TypeError, ValueError, OverflowError) as error:
        raise UsageError(f"{name!r}: {value!r:.100} is no number.") from error
    return found if math.isfinite(found) else str(found)


def _bundle(figure: Any) -> Mapping[str, str] | None:
    drawn = figure if hasattr(figure, "savefig") else getattr(figure, "figure", None)
    if drawn is not None and hasattr(drawn, "savefig"):
        png = io.BytesIO()
        drawn.savefig(png, format="png", bbox_inches="tight")
        return {"image/png": base64.b64encode(png.getvalue()).decode()}
    for method, kind in (("_repr_png_", "image/png"), ("_repr_jpeg_", "image/jpeg"), ("_repr_svg_", "image/svg+xml")):
        shown = getattr(figure, method, lambda: None)()
        content = shown[0] if isinstance(shown, tuple) else shown
        if content:
            return {kind: base64.b64encode(content).decode() if isinstance(content, bytes) else str(content)}
    return None
