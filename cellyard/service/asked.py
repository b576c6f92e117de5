"""What every route is given of the engine, and how it answers. Shared by the families of routes."""

from __future__ import annotations

import json
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.responses import JSONResponse

from cellyard.service.engine import Engine

__all__ = ["Json", "JsonAnswer", "Ready", "Serving"]

Json = dict[str, Any]


class JsonAnswer(JSONResponse):
    """A value as JSON, in ASCII: texts of people need not be what UTF-8 can say."""

    def render(self, content: Any) -> bytes:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()


async def _engine_of(request: Request) -> Engine:
    """The engine that this application serves."""
    engine: Engine = request.app.state.engine
    return engine


async def _ready_engine(request: Request) -> Engine:
    """The engine, once its records are open."""
    engine = await _engine_of(request)
    await engine.ready()
    return engine


Serving = Annotated[Engine, Depends(_engine_of)]
"""The engine, in whatever state."""
Ready = Annotated[Engine, Depends(_ready_engine)]
"""The engine, once its records are open."""
