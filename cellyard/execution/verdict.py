"""How an attempt ended, and whether the step is tried again. Pure: facts in, a verdict out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cellyard.errors import CellyardError, StepCancelled, StepTimeout
from cellyard.model import StepLine, format_duration

__all__ = ["MOST_TAKEN", "Intervention", "Verdict", "error_content", "judge"]


@dataclass(frozen=True, slots=True)
class Intervention:
    """What was done to an attempt while it was queued or ran."""

    timed_out: bool = False
    interrupted: bool = False
    cancelled_by: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The attempt's final state and error, and whether another attempt follows; ``free``: it does not count as one of
    ``--retries``."""

    state: str
    error: dict[str, Any] | None
    retry: bool
    free: bool = False


MOST_TAKEN = 20
"""How often a step is begun again whose worker the cluster takes away each time."""


def judge(
    name: str, options: StepLine, attempt: int, message: Mapping[str, Any], done: Intervention, *, taken: int = 0
) -> Verdict:
    """The verdict on a finished message. ``taken``: how many of the attempts before ended because the cluster took the
    worker away; those are not counted.

    A step that ended well has ended well, whatever was asked of it meanwhile. What its user stopped is not
    tried again; a timeout, an exception of its own and a lost worker are, while ``--retries`` lasts.
    """
    state, error = str(message["state"]), message.get("error")
    if state == "succeeded":
        return Verdict(state, None, retry=False)
    if done.timed_out:
        shows = "The traceback shows where it was; " if _shows_code(error) else ""
        hint = f"{shows}--timeout gives it more time."
        timeout = StepTimeout(step=name, timeout=format_duration(options.timeout or 0.0), hint=hint)
        state, error = "failed", error_content(timeout, below=error)
    elif done.cancelled_by is not None:
        cancelled = StepCancelled(step=name, by=done.cancelled_by)
        state, error = "cancelled", error_content(cancelled, below=error)
    stopped = done.interrupted or done.cancelled_by is not None or state == "cancelled"
    if not stopped and not done.timed_out and error and error["type"] == "WorkerTaken" and taken < MOST_TAKEN:
        return Verdict(state, dict(error), retry=True, free=True)
    return Verdict(state, error and dict(error), retry=not stopped and attempt - taken <= _retries(options))


def _shows_code(error: Mapping[str, Any] | None) -> bool:
    """Whether its traceback is more than a sentence."""
    return error is not None and "\n" in "\n".join(error.get("traceback") or ())


def _retries(options: StepLine) -> int:
    """How often the whole step is tried again: of a --map, each item is, and not the others."""
    return 0 if options.map else options.retries


def error_content(error: CellyardError, *, below: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """An error of ours in the shape in which a step's own errors come; keeps the traceback and frames of the one
    below."""
    if below is None:
        return error.to_step_error()
    frames = {"frames": below["frames"]} if below.get("frames") else {}
    return {**error.to_step_error(traceback=below.get("traceback") or (), cause=below.get("message")), **frames}
