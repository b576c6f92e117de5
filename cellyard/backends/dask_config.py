"""How Dask is set up in processes of ours. To be applied before distributed is imported: it reads some of it then."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

__all__ = ["CONFIG", "MESSAGE_INTERVAL", "configure"]

MESSAGE_INTERVAL = 0.0002
"""Seconds between two batches of messages on one connection. Dask's own 2-10 ms would be most of a step."""

CONFIG: dict[str, Any] = {
    # A lost step is the engine's to repeat, with a new token; Dask would run it again by itself.
    "distributed.scheduler.allowed-failures": 0,
    # A step goes where it is sent, and there is nothing to move.
    "distributed.scheduler.work-stealing": False,
    "distributed.scheduler.active-memory-manager.start": False,
    # Logs of events and transitions would keep every output of every step; the engine keeps records itself.
    "distributed.admin.low-level-log-length": 0,
    "distributed.diagnostics.computations.max-history": 1,
    # No HTTP routes; this also spares their imports.
    "distributed.scheduler.http.routes": [],
    "distributed.worker.http.routes": [],
    # An engine that idles should not wake up a hundred times a second.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.tick.interval": "1s",
    "distributed.admin.tick.cycle": "10s",
    "distributed.admin.system-monitor.interval": "1h",
    "distributed.client.scheduler-info-interval": "1h",
    "distributed.diagnostics.nvml": False,
    "logging": {"distributed": "warning"},
}
"""Every setting that departs from Dask's own, with its reason."""


def configure(more: Mapping[str, Any] | None = None) -> None:
    """Give this process these settings, and ``more``, and no others.

    A dask.yaml or DASK_* variables that the user wrote for another cluster must not reach the engine's own.
    """
    # No value ever passes through this process, and without numpy distributed is imported a sixth faster.
    sys.modules["numpy"] = None  # type: ignore[assignment]
    import dask.config

    dask.config.refresh(paths=[], env={})
    dask.config.set({**CONFIG, **(more or {})})
