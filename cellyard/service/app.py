"""The HTTP application: the routes, and the one table from our errors to HTTP's statuses."""

from __future__ import annotations

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError

from cellyard import __version__
from cellyard.errors import (
    CellyardError,
    EngineLeaving,
    EngineMismatch,
    EngineUnavailable,
    IllegalState,
    NotFound,
    RecordsInUse,
    RecordsLocked,
    StepAlreadyRunning,
    StepCancelled,
    UsageError,
)
from cellyard.service import (
    comeback_routes,
    evidence_routes,
    export_routes,
    finding_routes,
    moving_routes,
    pipeline_routes,
    routes,
    schedule_routes,
    view_routes,
)
from cellyard.service.asked import JsonAnswer
from cellyard.service.engine import Engine

__all__ = ["STATUS", "make_app"]

STATUS: tuple[tuple[type[CellyardError], int], ...] = (
    (NotFound, 404),
    (StepAlreadyRunning, 409),
    (StepCancelled, 409),
    (IllegalState, 409),
    (EngineMismatch, 409),
    (UsageError, 400),
    (EngineLeaving, 503),
    (EngineUnavailable, 503),
    (RecordsInUse, 409),
    (RecordsLocked, 503),
    (CellyardError, 500),
)
"""The first class that fits gives the status."""

_FAMILIES = (
    comeback_routes,
    evidence_routes,
    export_routes,
    routes,
    finding_routes,
    moving_routes,
    schedule_routes,
    view_routes,
    pipeline_routes,
)


def make_app(engine: Engine) -> FastAPI:
    """The API of this engine."""
    app = FastAPI(
        title="cellyard engine",
        version=__version__,
        description="Runs of notebook steps: submit, follow, stop, look back.",
    )
    app.add_exception_handler(CellyardError, refuse)
    app.add_exception_handler(RequestValidationError, refuse_shape)
    app.state.engine = engine
    for family in _FAMILIES:
        app.include_router(family.router)
    return app


def refuse(request: Request, error: Exception) -> JsonAnswer:
    """The one place where an error of ours becomes an answer."""
    assert isinstance(error, CellyardError)
    status = next(status for kind, status in STATUS if isinstance(error, kind))
    return JsonAnswer(error.to_dict(), status_code=status)


def refuse_shape(request: Request, error: Exception) -> JsonAnswer:
    """A request that does not have the shape the API describes."""
    assert isinstance(error, RequestValidationError)
    found = "; ".join(f"{'.'.join(map(str, each['loc']))}: {each['msg']}" for each in error.errors())
    return refuse(request, UsageError(f"the request is not understood: {found}"))
