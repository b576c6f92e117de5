"""What loading the extension does to a shell, and unloading undoes."""

from __future__ import annotations

from typing import Any

from kernel_magics.identity import Identity
from kernel_magics.magics import CellyardMagics
from kernel_magics.session import Session
from kernel_magics.step_completion import match_step_line

__all__ = ["load", "unload"]

_ATTRIBUTE = "_cellyard_session"


def load(shell: Any) -> Session:
    """Register everything; a second load changes nothing."""
    existing: Session | None = getattr(shell, _ATTRIBUTE, None)
    if existing is not None:
        return existing
    session = Session(shell, Identity.of(shell))
    shell.register_magics(CellyardMagics(session))
    shell.events.register("pre_run_cell", session.before_cell)
    shell.events.register("post_run_cell", session.log.flush)
    session.log.install()
    shell.Completer.custom_matchers.append(match_step_line)
    setattr(shell, _ATTRIBUTE, session)
    session.say_what_is_left()
    # In the background: the engine is up before the user has typed the first step.
    session.prepare()
    return session


def unload(shell: Any) -> None:
    """Remove the magics and hooks."""
    session: Session | None = getattr(shell, _ATTRIBUTE, None)
    if session is None:
        return
    shell.events.unregister("pre_run_cell", session.before_cell)
    shell.events.unregister("post_run_cell", session.log.flush)
    session.log.remove()
    shell.Completer.custom_matchers.remove(match_step_line)
    shell.magics_manager.magics["cell"].pop("step", None)
    shell.magics_manager.magics["line"].pop("steps", None)
    session.close()
    delattr(shell, _ATTRIBUTE)
