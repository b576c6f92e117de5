"""The face in the Jupyter server: the engine's HTTP API under Jupyter's own rules.

link        the engine as the server reaches it, started when it is needed
handlers    the routes below ``/cellyard``: who is let in is decided by Jupyter, what is answered by the engine
"""

from __future__ import annotations

from typing import Any

__all__: list[str] = []


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": "jupyter_ext"}]


def _jupyter_labextension_paths() -> list[dict[str, str]]:
    return [{"src": "labextension", "dest": "@cellyard/labextension"}]


def _load_jupyter_server_extension(server: Any) -> None:
    """Called by the Jupyter server once, when it starts."""
    from jupyter_ext.handlers import add_handlers

    add_handlers(server)
