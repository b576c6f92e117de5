"""Backends by name: a table of strings, imported on first use, open to others by entry point."""

from __future__ import annotations

import importlib
from importlib.metadata import entry_points
from typing import Any

from cellyard.backends.base import Backend
from cellyard.errors import InvalidSettings
from cellyard.settings import Settings

__all__ = ["BACKENDS", "ENTRY_POINTS", "backend_class", "backend_names", "create_backend"]

ENTRY_POINTS = "cellyard.backends"
"""The group in which another distribution names its backends."""

BACKENDS: dict[str, tuple[str, str]] = {
    "local": (
        "cellyard.backends.dask_local.backend:DaskLocalBackend",
        "The local backend needs dask, distributed and msgpack: pip install cellyard.",
    ),
    "kubernetes": (
        "cellyard.backends.dask_on_kubernetes.backend:DaskOnKubernetesBackend",
        "The Kubernetes backend is part of cellyard: install it again, as cellyard[kubernetes].",
    ),
    "in_process": (
        "cellyard.backends.in_process:InProcessBackend",
        "The in-process backend is part of cellyard: install it again.",
    ),
}
"""Name -> where the class is, and the sentence to show when its import fails."""


def backend_names() -> list[str]:
    """All names that :func:`backend_class` knows, sorted."""
    return sorted(BACKENDS.keys() | {each.name for each in entry_points(group=ENTRY_POINTS)})


def backend_class(name: str) -> type[Any]:
    """The class behind a name; raises InvalidSettings when there is none, or when it cannot be imported."""
    if name in BACKENDS:
        path, hint = BACKENDS[name]
        return _load(name, path, hint)
    for each in entry_points(group=ENTRY_POINTS, name=name):
        where = each.dist.name if each.dist is not None else each.value
        return _load(name, each.value, f"It belongs to {where}.")
    known = ", ".join(backend_names())
    raise InvalidSettings(key="backend", value=name, origin="the step or settings", reason=f"known are: {known}.")


def create_backend(name: str, settings: Settings) -> Backend:
    """The backend of that name, not yet started, for the store and machine that the settings tell of.

    Every backend's class has ``from_settings``. Raises InvalidSettings as :func:`backend_class` does.
    """
    backend: Backend = backend_class(name).from_settings(settings)
    return backend


def _load(name: str, path: str, hint: str) -> type[Any]:
    module, _, attribute = path.partition(":")
    try:
        found: type[Any] = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        reason = f"it could not be loaded ({error}). {hint}"
        raise InvalidSettings(key="backend", value=name, origin=path, reason=reason) from error
    return found
