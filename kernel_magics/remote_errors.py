"""Errors of steps as exceptions here: the user's own type, with the traceback of where it happened."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from IPython.core.getipython import get_ipython

from cellyard.artifacts.exceptions import has_group, words_of
from cellyard.errors import StepError, error_from_dict
from kernel_magics.advice import advice
from kernel_magics.remote_frames import give_tracebacks, without_ours

__all__ = [
    "exception_of",
    "lines_of",
    "remember",
    "shown_by",
    "shown_lines",
    "shown_plainly",
    "shown_where_used",
    "told_by_name",
    "was_stopped",
]


class RemoteError(StepError):
    """An exception of a step whose own type could not travel. Fields: type, text."""

    template = "{type}: {text}"


def exception_of(
    error: Mapping[str, Any],
    *,
    step: str,
    worker: str,
    load: Callable[[Mapping[str, Any]], dict[str, Any]],
    names: dict[str, Any] | None = None,
) -> BaseException:
    """The exception to raise for a failed step; ``load`` reads artifacts. With the notebook's ``names`` it has the
    step's frames, for ``%debug``.

    IPython shows the step's traceback, coloured there; a note tells step and worker.
    """
    found = _shown(error, step, worker, load)
    if names is not None and error.get("frames"):
        give_tracebacks(found, error["frames"], names, load)
    return found


def _shown(
    error: Mapping[str, Any], step: str, worker: str, load: Callable[[Mapping[str, Any]], dict[str, Any]]
) -> BaseException:
    if error.get("cellyard"):
        return shown_plainly(error_from_dict(error["cellyard"]), below=error["traceback"])
    found = _own(error, load)
    note = _note(error, step, worker)
    found.add_note(note)
    if error["traceback"]:
        _show_as(found, [*error["traceback"], note])
    return found


def was_stopped(error: Mapping[str, Any]) -> bool:
    """By its user, who does not want the cells after it to go on."""
    return error["type"] in ("KeyboardInterrupt", "StepCancelled")


def remember(error: BaseException) -> None:
    """As if it had just been raised here, for ``%debug``."""
    shell: Any = get_ipython()
    without_ours(error, ending_in=shell.user_ns if shell is not None else {})
    sys.last_type, sys.last_value, sys.last_traceback = type(error), error, error.__traceback__
    vars(sys)["last_exc"] = error  # from Python 3.12 on, debuggers look there
    _forget_rendered()


def shown_lines(error: Mapping[str, Any], *, step: str, worker: str) -> list[str]:
    """The same error as the lines of a traceback."""
    if error.get("cellyard"):
        return _lines(error_from_dict(error["cellyard"]), error["traceback"])
    return [*error["traceback"], _note(error, step, worker)]


def _note(error: Mapping[str, Any], step: str, worker: str) -> str:
    """Where it was, and what to do, if that is known."""
    return "\n".join(filter(None, [f"in step {step!r} on worker {worker}", advice(error, worker=worker)]))


def _lines(error: BaseException, below: Sequence[str]) -> list[str]:
    words = words_of(error)
    return [*below, f"\x1b[31m{type(error).__name__}\x1b[39m" + (f": {words}" if words else "")]


def _own(error: Mapping[str, Any], load: Callable[[Mapping[str, Any]], dict[str, Any]]) -> BaseException:
    if error.get("exception"):
        try:
            value = load(error["exception"])["exception"]
        except Exception:  # noqa: BLE001 - the user's class may fail in any way to be rebuilt; its words remain
            value = None
        if isinstance(value, BaseException):
            return value
    return _named(error["type"], error["message"])


def lines_of(error: BaseException) -> list[str]:
    """What is shown of an exception that is not raised."""
    rendered = getattr(error, "_render_traceback_", None)
    return rendered() if rendered is not None else [f"{type(error).__name__}: {words_of(error)}"]


def shown_by(shell: Any, error: BaseException) -> BaseException:
    """The error, ready to be raised where ``shell`` shows it. Groups of exceptions it prints as Python does, and
    errors of syntax in a way of their own, with our frames in the place of the user's: it is told what to show."""
    lines = getattr(error, "_render_traceback_", None)
    is_group = has_group(error)
    if lines is None or not (is_group or isinstance(error, SyntaxError)):
        return error
    before = shell.custom_exceptions, shell.CustomTB

    def show(_: Any, kind: type, value: BaseException, trace: Any, tb_offset: Any = None) -> None:
        shell.custom_exceptions, shell.CustomTB = before
        if value is error and not is_group:
            shell._showtraceback(kind, value, lines())
        elif value is error:
            shell._get_exc_info((kind, value, trace))  # it keeps the last exception for whoever asks
            print(*lines(), sep="\n", file=sys.stderr)
        else:
            shell.showtraceback((kind, value, trace), tb_offset=tb_offset)

    shell.set_custom_exc((type(error),), show)
    return error


def shown_plainly(error: BaseException, *, below: Sequence[str] = ()) -> BaseException:
    """The error shown as its message alone: the frames that led to it are ours, not the user's.

    ``below`` is the traceback of the user's own code, where it was stopped. An error of a step keeps what it shows.
    """
    if "_render_traceback_" not in error.__dict__:
        _show_as(error, _lines(error, below))
    return error


def shown_where_used(error: BaseException) -> BaseException:
    """The error shown with the user's own frames, down to where a value was used that cannot be had."""
    error.with_traceback(None)
    if "_render_traceback_" not in error.__dict__:
        error.__dict__["_render_traceback_"] = lambda: _rendered_where_used(error)
    return error


def _rendered_where_used(error: BaseException) -> list[str]:
    shell: Any = get_ipython()
    without_ours(error)
    sys.last_traceback = error.__traceback__
    lines: list[str] = shell.InteractiveTB.structured_traceback(type(error), error, error.__traceback__)
    return lines


def told_by_name(error: BaseException) -> RemoteError:
    """An error that is shown as this one is, and is of no type that anybody may wait for."""
    told = _named(type(error).__name__, words_of(error))
    if (shown := getattr(error, "_render_traceback_", None)) is not None:
        told.__dict__["_render_traceback_"] = shown
    return told


def _named(kind: str, text: str) -> RemoteError:
    made: type[RemoteError] = type(kind, (RemoteError,), {"__module__": "builtins"})
    return made(type=kind, text=text)


def _show_as(error: BaseException, lines: list[str]) -> None:
    # IPython asks an exception for this method and shows what it returns. An exception with slots alone is shown as
    # any other.
    if hasattr(error, "__dict__"):
        error.__dict__["_render_traceback_"] = lambda: _rendered(error, lines)


def _rendered(error: BaseException, lines: list[str]) -> list[str]:
    if getattr(sys, "last_value", None) is error:
        remember(error)
    return lines


def _forget_rendered() -> None:
    """Or %debug would open the error that IPython itself has rendered last."""
    shell: Any = get_ipython()
    if shell is not None and hasattr(shell, "InteractiveTB"):
        shell.InteractiveTB.tb = None
