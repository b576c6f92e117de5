"""What loading the extension does to a shell, and unloading undoes."""

from __future__ import annotations

import threading
from typing import Any

from cellyard.errors import CellyardError
from cellyard.service.client import EngineClient
from kernel_magics.identity import Identity
from kernel_magics.namespace import Namespace
from kernel_magics.session import Session
from kernel_magics.step_completion import complete_step_line
from kernel_magics.step_magic import StepMagics
from kernel_magics.steps_magic import StepsMagics

__all__ = ["load", "unload"]

_ATTRIBUTE = "_cellyard_session"


def load(shell: Any) -> Session:
    """Register everything; a second load changes nothing."""
    existing: Session | None = getattr(shell, _ATTRIBUTE, None)
    if existing is not None:
        return existing
    client = EngineClient(notify=_tell)
    session = Session(shell, client, Identity.of(shell), Namespace(shell, client.settings.store))
    shell.register_magics(StepMagics(shell, session), StepsMagics(shell, session))
    shell.events.register("pre_run_cell", session.namespace.before_cell)
    shell.set_hook("complete_command", complete_step_line, str_key="%%step")
    setattr(shell, _ATTRIBUTE, session)
    # In the background: the engine is up before the user has typed the first step.
    threading.Thread(target=_start_engine, args=(client,), name="cellyard-start", daemon=True).start()
    return session


def unload(shell: Any) -> None:
    """Remove the magics and hooks."""
    session: Session | None = getattr(shell, _ATTRIBUTE, None)
    if session is None:
        return
    shell.events.unregister("pre_run_cell", session.namespace.before_cell)
    shell.magics_manager.magics["cell"].pop("step", None)
    shell.magics_manager.magics["line"].pop("steps", None)
    session.client.close()
    delattr(shell, _ATTRIBUTE)


def _start_engine(client: EngineClient) -> None:
    """A failure is not told here: the first step meets it again, and tells it where the user is looking."""
    try:
        client.ensure()
    except CellyardError:
        return


def _tell(text: str) -> None:
    print(text)
