"""Loaded by the operator beside dask-kubernetes' controller, where it serves certain namespaces only."""

from __future__ import annotations

import kopf

__all__ = ["configure"]


@kopf.on.startup()
def configure(settings: kopf.OperatorSettings, **_: object) -> None:
    """Do not look for new namespaces and definitions: all are there, and to look takes rights in the whole cluster."""
    settings.scanning.disabled = True
