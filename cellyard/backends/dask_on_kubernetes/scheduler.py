"""The scheduler's pod: ``python -m cellyard.backends.dask_on_kubernetes.scheduler``, with CELLYARD_TOPIC set.

A Dask scheduler with the ledger of steps. It answers the operator's question how long it has been idle for an engine
that is gone, so that the operator deletes what that left behind; without an engine and a step it is idle.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from typing import Any, TypeVar

from cellyard.backends.dask_config import configure

__all__ = ["main"]

PORT = 8786
HTTP_PORT = 8787

T = TypeVar("T")


async def _at_once(function: Callable[..., T], *args: Any, **kwargs: Any) -> T:
    """Stands in for Dask's offload: our graphs have one task, and are unpacked sooner than a thread wakes up."""
    return function(*args, **kwargs)


async def _serve(topic: str) -> None:
    import distributed.scheduler
    from distributed import Scheduler

    from cellyard.backends.dask_on_kubernetes.ledger import StepLedger

    ledger = StepLedger(topic)

    class StepScheduler(Scheduler):
        def check_idle(self) -> float | None:
            return ledger.idle_since()

    scheduling: Any = distributed.scheduler
    scheduling.offload = _at_once
    stop = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
    scheduler = await StepScheduler(
        protocol="tcp://",
        host="0.0.0.0",
        port=PORT,
        dashboard=True,
        dashboard_address=f":{HTTP_PORT}",
        plugins=[ledger],
        extensions={},
    )
    print(f"cellyard: the scheduler listens at {scheduler.address}", flush=True)
    closed = asyncio.ensure_future(scheduler.finished())
    stopped = asyncio.ensure_future(stop.wait())
    await asyncio.wait([closed, stopped], return_when=asyncio.FIRST_COMPLETED)
    with contextlib.suppress(TimeoutError):
        await asyncio.wait_for(scheduler.close(), 1.0)


def main() -> int:
    """Serve until SIGTERM."""
    configure({"distributed.scheduler.http.routes": ["distributed.http.scheduler.api", "distributed.http.health"]})
    asyncio.run(_serve(os.environ["CELLYARD_TOPIC"]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
